// Resizing levels along the height, four rows at once, on GPUs: rows 4 q to 4 q + 3 of the result are sums over
// one window of the source from starts[q] on, with weights made by the host in float64. So a level is
// converted once for four sums; weights of rows that a result does not use are zero.
//
// Memory: x and y are (images, rows, across) units of {{ cells }} word(s) of four levels; weights (q, rows of the
// window) hold those of four results.
// Limits: 2^32 words; a grid of (units, rows by sixteen, images).
//% set wide = true
//% set bytes = "u8x%d" % (4 * cells)
//% set flat = cells == 1
//% include "image/words.wgsl"

alias f32x4 = vec4<f32>;

// taps: rows of the window, an even number.
struct Params { rows: u32, across: u32, x_rows: u32, taps: u32 }

@group(0) @binding(0) var<storage, read> x: array<X>;
@group(0) @binding(1) var<storage, read> starts: array<u32>;
@group(0) @binding(2) var<storage, read> weights: array<f32x4>;
//% if target == "u8" or flat
@group(0) @binding(3) var<storage, read_write> y: array<Y>;
//% else
@group(0) @binding(3) var<storage, read_write> y: array<array<Y, {{ cells }}>>;
//% endif
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(32, 4)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) lane: vec3<u32>,
) {
    let unit = group.x * 32u + lane.x;
    let four = group.y * 4u + lane.y;
    if (unit >= params.across || 4u * four >= params.rows) { return; }
    let start = starts[four];
    let image = group.z * params.x_rows;
//% for o in range(4)
//% for c in range(cells)
    var a{{ o }}_{{ c }}: vec4<f32>;
//% endfor
//% endfor
    for (var k = 0u; k < params.taps; k += 2u) {
//% for t in range(2)
        let x{{ t }} = x[(image + min(start + k + {{ t }}u, params.x_rows - 1u)) * params.across + unit];
        let w{{ t }} = weights[four * params.taps + k + {{ t }}u];
//% endfor
//% for t in range(2)
//% for c in range(cells)
//% if flat
        let v{{ t }}_{{ c }} = four_of(x{{ t }});
//% else
        let v{{ t }}_{{ c }} = four_of(x{{ t }}{{ "." + "xyzw"[c] }});
//% endif
//% for o in range(4)
        a{{ o }}_{{ c }} += w{{ t }}.{{ "xyzw"[o] }} * v{{ t }}_{{ c }};
//% endfor
//% endfor
//% endfor
    }
//% for o in range(4)
//% set made = namespace(names=[])
//% for c in range(cells)
//% set made.names = made.names + [("packed(a%d_%d)" if target == "u8" else "a%d_%d") % (o, c)]
//% endfor
    if (4u * four + {{ o }}u < params.rows) {
//% if flat
        y[(group.z * params.rows + 4u * four + {{ o }}u) * params.across + unit] = {{ made.names[0] }};
//% else
        y[(group.z * params.rows + 4u * four + {{ o }}u) * params.across + unit] = {{ "Y" if target == "u8" else "array<Y, %d>" % cells }}({{ made.names | join(", ") }});
//% endif
    }
//% endfor
}
