// Both axes of a separable window in one launch, for GPUs: {{ taps_y }} by {{ taps_x }} taps, {{ {"sum": "summed by weights", "mean": "their mean", "min": "the least", "max": "the greatest"}[fold] }}.
//
// An invocation takes {{ cells }} cell(s) of four elements of a row, and walks down a strip of rows, {{ steps }} at a
// time. It folds each row across its cells and those to the left and right that the taps reach, which
// come from the cache, and keeps the last {{ taps_y - 1 }} rows of this in registers for the height: no
// barrier, and memory reads each word once. What lies beyond an edge is put in behind the loads.
//% if halves or fold == "mean"
// Levels are two in a word.
//% elif fold == "sum"
// Sums are f32.
//% else
// Values are compared as f32.
//% endif
// Memory: x and y are (images, rows, across) units of {{ cells }} cell(s); weights are those of the height, then
// those of the width. Limits: rows of whole units; 2^32 units; a grid of (units, strips, images).
//% if halves
enable f16;
//% endif
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

//% macro cell_of(unit, cell)
//% if flat
x[{{ unit }}]
//% else
x[{{ unit }}]{{ "." + "xyzw"[cell] }}
//% endif
//%- endmacro
//% include "image/beyond.wgsl"
//% if pairs

//% include "image/pairs.wgsl"
//% endif
//% import "image/fold.wgsl" as fold_of with context
//% import "image/walk.wgsl" as walk with context
//% set sides = range(-left, 0) | list + range(cells, cells + right) | list
@compute @workgroup_size({{ across }}, {{ down }})
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) lane: vec3<u32>,
) {
    let unit = group.x * {{ across }}u + lane.x;
    let rows = i32(params.rows);
    let first = i32(group.y * {{ down }}u + lane.y) * params.strip;
    if (unit >= params.across || first >= rows) { return; }
    let end = min(first + params.strip, rows);
    let image = group.z * params.rows;
{{ walk.weighted() }}
    // Cells beside the unit: where they are, or an edge's stand in for them.
    var whole = true;
//% for k in sides
//% set n = k + left
    let place{{ n }} = i32(unit * {{ cells }}u) + {{ k }};
    let in{{ n }} = u32(place{{ n }}) < params.across * {{ cells }}u;
    let at{{ n }} = u32(clamp(i32(unit) + {{ k // cells }}, 0, i32(params.across) - 1));
    var places{{ n }} = vec4<i32>();
    if (!in{{ n }}) {
        places{{ n }} = places_of(place{{ n }});
        whole = false;
    }
//% endfor
{{ walk.kept() }}
    // The first rows only fill the registers.
    for (var row = first - {{ taps_y - 1 }}; row < end; row += {{ steps }}) {
{{ walk.placed() }}
//% for s in range(steps)
        let line{{ s }} = (image + u32(max(row{{ s }}, 0))) * params.across;
        let own{{ s }} = x[line{{ s }} + unit];
//% for k in sides
        let raw{{ s }}_{{ k + left }} = {{ cell_of("line%d + at%d" % (s, k + left), k % cells) }};
//% endfor
//% endfor
//% for s in range(steps)
//% for n in range(left + cells + right)
//% set k = n - left
//% set raw = "raw%d_%d" % (s, n) if k in sides else "own%d%s" % (s, "" if flat else "." + "xyzw"[k])
//% if source == "u8"
        var v{{ s }}_{{ n }} = {{ "pairs_of" if pairs else "four_of" }}({{ raw }});
//% else
        var v{{ s }}_{{ n }} = {{ raw }};
//% endif
//% endfor
//% endfor
        if (!whole) {
//% for s in range(steps)
//% for k in sides
            if (!in{{ k + left }}) { v{{ s }}_{{ k + left }} = elements(line{{ s }}, places{{ k + left }}); }
//% endfor
//% endfor
        }
//% for s in range(steps)
//% set own = namespace(names=[])
//% for n in range(left + cells + right)
//% set own.names = own.names + ["v%d_%d" % (s, n)]
//% endfor
{{ walk.filled(s, own.names) }}
//% for c in range(cells)
//% set shifts = namespace(names=[])
//% for t in range(taps_x)
//% set parts = namespace(names=[])
//% for k in range(2 if pairs else 4)
//% set e = 4 * (left + c) + k + (t - origin_x) * channels
//% if pairs and e % 4 >= 2
//% set parts.names = parts.names + ["(v%d_%d.%s >> 16u) | (v%d_%d.%s << 16u)" % (s, e // 4, "xy"[e % 2], s, e // 4 + 1, "xy"[e % 2])]
//% else
//% set parts.names = parts.names + ["v%d_%d.%s" % (s, e // 4, ("xy"[e % 2] if pairs else "xyzw"[e % 4]))]
//% endif
//% endfor
//% set shifts.names = shifts.names + ["F(%s)" % parts.names | join(", ")]
//% endfor
{{ fold_of.all("n%d_%d" % (s, c), "x", shifts.names, 0) }}
//%- endfor
{{ walk.down("f", s) }}
        if (row + {{ s }} >= first && row + {{ s }} < end) {
            let at = (image + u32(row + {{ s }})) * params.across + unit;
            y[at] = {{ walk.result(s) }};
        }
//% endfor
{{ walk.handed_on() }}
    }
}
