// Body of kernels that make each element from the {{ size }} by {{ size }} round it, on GPUs: `made`, from the taps'
//% if joint | default(false)
// values, row by row, of four elements at once, or a macro for all that an invocation makes.
//% else
// values, row by row, of four elements at once.
//% endif
//
// An invocation takes {{ cells }} cell(s) of four elements in {{ steps }} rows. It loads them and the cells round them,
// which come from the cache, before it stores anything; what taps of neighbours have in common, the
// compiler computes once. What lies beyond an edge is put in behind the loads.
// Memory: x and y are (images, rows, across) units of {{ cells }} cell(s). Limits: rows of whole units; 2^32 units;
// a grid of (units, rows, images).
//% if halves
enable f16;
//% endif
//% set wide = true
//% set bytes = "u8x%d" % (4 * cells)
//% set flat = cells == 1
//% set reach = size // 2
//% set pairs = halves
//% set joint = joint | default(false)
//% include "image/words.wgsl"
//% include "image/border.wgsl"

//% if pairs
alias F = vec2<u32>;
//% else
alias F = vec4<f32>;
//% endif

// across: units of a row; width: pixels of a row.
struct Params { rows: u32, across: u32, width: i32, mode: u32, fill: f32 }

@group(0) @binding(0) var<storage, read> x: array<X>;
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
//% if joint
//% import ("image/median%d.wgsl" % size) as joint_rows with context
//% endif

//% set sides = range(-left, 0) | list + range(cells, cells + right) | list
@compute @workgroup_size({{ lanes }}, {{ down }})
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) lane: vec3<u32>,
) {
    let unit = group.x * {{ lanes }}u + lane.x;
    let rows = i32(params.rows);
    let first = i32(group.y * {{ down }}u + lane.y) * {{ steps }};
    if (unit >= params.across || first >= rows) { return; }
    let image = group.z * params.rows;
    // Cells beside the unit: where they are, or an edge's stand in for them.
    var whole = true;
//% for k in sides
//% set n = k + left
    let place{{ n }} = i32(unit * {{ cells }}u) + {{ k }};
    let in{{ n }} = u32(place{{ n }}) < params.across * {{ cells }}u;
    let at{{ n }} = u32(clamp(i32(unit) + {{ k // cells }}, 0, i32(params.across) - 1));
    whole &= in{{ n }};
//% endfor
//% for s in range(steps + size - 1)
    var row{{ s }} = first + {{ s - reach }};
//% endfor
    if (first < {{ reach }} || first + {{ steps + reach }} > rows) {
//% for s in range(steps + size - 1)
        row{{ s }} = inside(row{{ s }}, rows, params.mode);
//% endfor
    }
//% for s in range(steps + size - 1)
    let line{{ s }} = (image + u32(max(row{{ s }}, 0))) * params.across;
    let unit{{ s }} = x[line{{ s }} + unit];
//% for k in sides
    let raw{{ s }}_{{ k + left }} = {{ cell_of("line%d + at%d" % (s, k + left), k % cells) }};
//% endfor
//% endfor
//% for s in range(steps + size - 1)
//% for n in range(left + cells + right)
//% set k = n - left
//% set raw = "raw%d_%d" % (s, n) if k in sides else "unit%d%s" % (s, "" if flat else "." + "xyzw"[k])
//% if source == "u8"
    var v{{ s }}_{{ n }} = {{ "pairs_of" if pairs else "four_of" }}({{ raw }});
//% else
    var v{{ s }}_{{ n }} = {{ raw }};
//% endif
//% endfor
//% endfor
    if (!whole) {
//% for k in sides
//% set n = k + left
        if (!in{{ n }}) {
            let places = places_of(place{{ n }});
//% for s in range(steps + size - 1)
            v{{ s }}_{{ n }} = elements(line{{ s }}, places);
//% endfor
        }
//% endfor
    }
//% if constant
//% for s in range(steps + size - 1)
    if (row{{ s }} < 0) {
//% for n in range(left + cells + right)
//% if pairs
        v{{ s }}_{{ n }} = pairs_of(u32(params.fill) * 0x1010101u);
//% else
        v{{ s }}_{{ n }} = F(params.fill);
//% endif
//% endfor
    }
//% endfor
//% endif
//% for s in range(steps)
//% if joint
{{ joint_rows.made(s) }}
//% endif
    if (first + {{ s }} < rows) {
//% set results = namespace(names=[])
//% for c in range(cells)
//% if not joint
//% set taps = namespace(names=[])
//% for i in range(size)
//% for j in range(size)
//% set parts = namespace(names=[])
//% for k in range(4)
//% set e = 4 * (left + c) + k + (j - reach) * channels
//% set parts.names = parts.names + ["v%d_%d.%s" % (s + i, e // 4, "xyzw"[e % 4])]
//% endfor
//% set taps.names = taps.names + ["F(%s)" % parts.names | join(", ")]
//% endfor
//% endfor
        let made{{ s }}_{{ c }} = made(array<F, {{ size * size }}>({{ taps.names | join(", ") }}));
//% endif
//% set results.names = results.names + [("word_of(made%d_%d)" if pairs else "packed(made%d_%d)" if target == "u8" else "made%d_%d") % (s, c)]
//% endfor
//% if flat
        y[(image + u32(first + {{ s }})) * params.across + unit] = {{ results.names[0] }};
//% else
        y[(image + u32(first + {{ s }})) * params.across + unit] = {{ "Y" if target == "u8" else "array<Y, %d>" % cells }}({{ results.names | join(", ") }});
//% endif
    }
//% endfor
}
