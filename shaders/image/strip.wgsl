// Both axes of a separable window in one launch, for GPUs: {{ taps_y }} by {{ taps_x }} taps, {{ {"sum": "summed by weights", "mean": "their mean", "min": "the least", "max": "the greatest"}[fold] }}.
//
//% if once
// A lane takes {{ cells }} cell(s) of four elements of a row, and loads all rows of its strip at once
//% else
// A lane takes {{ cells }} cell(s) of four elements of a row, and walks down a strip of rows, {{ steps }} at a time, the last {{ taps_y - 1 }} of which stay in registers
//% endif
// for the height; for the width, lanes of a subgroup hand round what they made of it.
// Lanes at the ends of a subgroup only make what their neighbours need. So a row is loaded once, with no
// barrier. What lies beyond an edge is put in behind the loads.
//% if halves or fold == "mean"
// Levels are two in a word.
//% elif fold == "sum"
// Sums are f32.
//% else
// Values are compared as f32.
//% endif
// Memory: x and y are (images, rows, across) units of {{ cells }} cell(s); weights are those of the height, then
// those of the width. Limits: rows of whole units; 2^32 units; a grid of (units, strips, images); lanes
// {{ lanes }} i to {{ lanes }} i + {{ lanes - 1 }} of a workgroup are its subgroup i.
//% if halves or centred
enable f16;
//% endif
enable subgroups;
diagnostic(off, subgroup_uniformity);
//% set pairs = halves or fold == "mean"
//% set wide = true
//% set bytes = "u8x%d" % (4 * cells)
//% set flat = cells == 1
//% include "image/words.wgsl"
//% include "image/border.wgsl"

//% if pairs
alias F = vec2<u32>;
//% else
alias F = vec4<f32>;
//% endif

// across: units of a row; width: pixels of a row; strip: rows of an invocation.
struct Params { rows: u32, across: u32, width: i32, strip: i32, mode: u32, fill: f32 }

@group(0) @binding(0) var<storage, read> x: array<X>;
//% if fold == "sum"
@group(0) @binding(1) var<storage, read> weights: array<f32>;
//% endif
//% if target == "u8" or flat
@group(0) @binding(2) var<storage, read_write> y: array<Y>;
//% else
@group(0) @binding(2) var<storage, read_write> y: array<array<Y, {{ cells }}>>;
//% endif
@group(0) @binding(3) var<uniform> params: Params;

//% include "image/beyond.wgsl"
//% if pairs

//% include "image/pairs.wgsl"
//% endif
//% import "image/fold.wgsl" as fold_of with context
//% import "image/walk.wgsl" as walk with context
//% set unit = 4 * cells
//% set before, after = origin_x * channels, (taps_x - 1 - origin_x) * channels
//% set left, right = (before + unit - 1) // unit, (after + unit - 1) // unit
//% set inner = lanes - left - right
// Cells of a unit beyond an edge that others need: the outermost of either side, or all.
//% set edge = [cells, ([before, after] | max + 3) // 4] | min
//% set edge = cells if 2 * edge > cells else edge
@compute @workgroup_size({{ lanes * across * down }})
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    let lane = i32(index % {{ lanes }}u);
    let subgroup = index / {{ lanes }}u;
    let unit = i32(group.x * {{ across }}u + subgroup % {{ across }}u) * {{ inner }} + lane - {{ left }};
    let rows = i32(params.rows);
    let first = i32(group.y * {{ down }}u + subgroup / {{ across }}u) * params.strip;
    if (first >= rows) { return; }
    let end = min(first + params.strip, rows);
    let image = group.z * params.rows;
    let whole = u32(unit) < params.across;
    let own = whole && lane >= {{ left }} && lane < {{ lanes - right }};
    let column = u32(clamp(unit, 0, i32(params.across) - 1));
{{ walk.weighted() }}
//% if left + right > 0
//% for j in range(edge)
    var places{{ j }} = vec4<i32>();
//% endfor
    if (!whole) {
        let cell = {{ cells }} * unit + select(0, {{ cells - edge }}, unit < 0);
//% for j in range(edge)
        places{{ j }} = places_of(cell + {{ j }});
//% endfor
    }
//% endif
//% set before_first = taps_y - 1 if once else 0
//% if once
    let row = first - {{ taps_y - 1 }};
    {
//% else
{{ walk.kept() }}
    // The first rows only fill the registers.
    for (var row = first - {{ taps_y - 1 }}; row < end; row += {{ steps }}) {
//% endif
{{ walk.placed() }}
//% for s in range(steps)
        let line{{ s }} = (image + u32(max(row{{ s }}, 0))) * params.across;
//% if source == "u8" or flat
        let raw{{ s }} = x[line{{ s }} + column];
//% else
//% for c in range(cells)
        let raw{{ s }}{{ c }} = x[(line{{ s }} + column) * {{ cells }}u + {{ c }}u];
//% endfor
//% endif
//% endfor
//% for s in range(steps)
//% for c in range(cells)
//% set raw = "raw%d%s" % (s, "" if flat else c if source == "f32" else "." + "xyzw"[c])
//% if source == "u8"
        var n{{ s }}_{{ c }} = {{ "pairs_of" if pairs else "four_of" }}({{ raw }});
//% else
        var n{{ s }}_{{ c }} = {{ raw }};
//% endif
//% endfor
//% endfor
//% if left + right > 0
        if (!whole) {
//% for s in range(steps)
//% for j in range(edge)
            let beyond{{ s }}_{{ j }} = elements(line{{ s }}, places{{ j }});
//% if cells == edge
            n{{ s }}_{{ j }} = beyond{{ s }}_{{ j }};
//% else
            n{{ s }}_{{ j }} = beyond{{ s }}_{{ j }};
            n{{ s }}_{{ cells - edge + j }} = beyond{{ s }}_{{ j }};
//% endif
//% endfor
//% endfor
        }
//% endif
//% for s in range(steps)
//% set own = namespace(names=[])
//% for c in range(cells)
//% set own.names = own.names + ["n%d_%d" % (s, c)]
//% endfor
{{ walk.filled(s, own.names) }}
//% endfor
//% for s in range(before_first, steps)
{{ walk.down("w" if centred else "v", s) }}
//% if centred
//% for c in range(cells)
    let v{{ s }}_{{ c }} = centred(w{{ s }}_{{ c }});
//% endfor
//% endif
//% set known = namespace(names=[])
//% for e in range(-before, unit + after)
//% set d = e // unit
//% set part = "%d_%d.%s" % (s, e % unit // 4, "xy"[e % 2] if pairs else "xyzw"[e % 4])
//% set name = "h%d_%d_%s" % (s, e // 4 + 99, "xy"[e % 2] if pairs else "xyzw"[e % 4])
//% if d != 0 and name not in known.names
//% set known.names = known.names + [name]
//% if d < 0
        let {{ name }} = subgroupShuffleUp(v{{ part }}, {{ d | abs }}u);
//% else
        let {{ name }} = subgroupShuffleDown(v{{ part }}, {{ d | abs }}u);
//% endif
//% endif
//% endfor
//% for c in range(cells)
//% set shifts = namespace(names=[], x=[], y=[])
//% for t in range(taps_x)
//% set parts = namespace(names=[])
//% for k in range(2 if pairs else 4)
//% set e = 4 * c + k + (t - origin_x) * channels
//% set ends = namespace(names=[])
//% for q in ((e, e + 2) if pairs else (e,))
//% set letter = "xy"[q % 2] if pairs else "xyzw"[q % 4]
//% set ends.names = ends.names + ["v%d_%d.%s" % (s, q // 4, letter) if 0 <= q < unit else "h%d_%d_%s" % (s, q // 4 + 99, letter)]
//% endfor
//% if pairs and e % 4 >= 2
//% set parts.names = parts.names + ["(%s >> 16u) | (%s << 16u)" % (ends.names[0], ends.names[1])]
//% else
//% set parts.names = parts.names + [ends.names[0]]
//% endif
//% endfor
//% set shifts.names = shifts.names + ["F(%s)" % parts.names | join(", ")]
//% set shifts.x = shifts.x + ["(%s)" % parts.names[0]]
//% set shifts.y = shifts.y + ["(%s)" % parts.names[1]]
//% endfor
//% if centred
        var f{{ s }}_{{ c }} = {{ shifts.names[0] }};
//% for name in shifts.names[1:]
        f{{ s }}_{{ c }} = plus(f{{ s }}_{{ c }}, {{ name }});
//% endfor
//% elif halves
{{ fold_of.all("g%d_%d" % (s, c), "x", shifts.x, -origin_x, "%s_two" % fold) }}
{{ fold_of.all("k%d_%d" % (s, c), "x", shifts.y, 1 - origin_x, "%s_two" % fold) }}
        let f{{ s }}_{{ c }} = F(g{{ s }}_{{ c }}, k{{ s }}_{{ c }});
//% else
{{ fold_of.all("f%d_%d" % (s, c), "x", shifts.names, 0) }}
//% endif
//%- endfor
//% if once
        if (own && row + {{ s }} < end) {
//% else
        if (own && row + {{ s }} >= first && row + {{ s }} < end) {
//% endif
            let at = (image + u32(row + {{ s }})) * params.across + u32(unit);
            y[at] = {{ walk.result(s) }};
        }
//% endfor
//% if once
//% else
{{ walk.handed_on() }}
//% endif
    }
}
