// Resizing levels along the width, four places at once, on GPUs: places 4 q to 4 q + 3 of the result are sums
// over one window of the source from starts[q] on, in groups of four pixels, with weights made by the
// host in float64. So a level is converted once for four sums; weights of pixels that a place does not
// use are zero. An invocation makes {{ rows }} rows, for which it loads weights once.
//
// Memory: x and y are (images, rows) of whole groups of four pixels; starts count groups; weights (pixels of
// the window, q) hold those of four places.
// Limits: 2^32 words; a grid of (groups across, rows, images).
//% set wide = true
//% set bytes = "u8x4"
//% include "image/words.wgsl"

alias f32x4 = vec4<f32>;
// Values of a pixel.
//% if channels == 1
alias V = f32;
//% else
alias V = vec{{ channels }}<f32>;
//% endif

// across: groups of a row of the result; x_across: of the source; groups: of a window.
struct Params { rows: u32, across: u32, x_across: u32, groups: u32 }

@group(0) @binding(0) var<storage, read> x: array<X>;
@group(0) @binding(1) var<storage, read> starts: array<u32>;
@group(0) @binding(2) var<storage, read> weights: array<f32x4>;
@group(0) @binding(3) var<storage, read_write> y: array<Y>;
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(32, 4)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) lane: vec3<u32>,
) {
    let unit = group.x * 32u + lane.x;
    let row = group.y * {{ 4 * rows }}u + lane.y;
    if (unit >= params.across || row >= params.rows) { return; }
    let start = starts[unit];
//% for s in range(rows)
    let line{{ s }} = (group.z * params.rows + min(row + {{ 4 * s }}u, params.rows - 1u)) * params.x_across;
//% for o in range(4)
    var a{{ s }}_{{ o }}: V;
//% endfor
//% endfor
    for (var g = 0u; g < params.groups; g++) {
        let place = min(start + g, params.x_across - 1u);
//% for t in range(4)
        let w{{ t }} = weights[(4u * g + {{ t }}u) * params.across + unit];
//% endfor
//% for s in range(rows)
//% for n in range(channels)
        let v{{ s }}_{{ n }} = four_of(x[(line{{ s }} + place) * {{ channels }}u + {{ n }}u]);
//% endfor
//% endfor
//% for s in range(rows)
//% for t in range(4)
//% set parts = namespace(names=[])
//% for e in range(t * channels, t * channels + channels)
//% set parts.names = parts.names + ["v%d_%d.%s" % (s, e // 4, "xyzw"[e % 4])]
//% endfor
        let p{{ s }}_{{ t }} = V({{ parts.names | join(", ") }});
//% for o in range(4)
        a{{ s }}_{{ o }} += w{{ t }}.{{ "xyzw"[o] }} * p{{ s }}_{{ t }};
//% endfor
//% endfor
//% endfor
    }
//% for s in range(rows)
    if (row + {{ 4 * s }}u < params.rows) {
        let at = ((group.z * params.rows + row + {{ 4 * s }}u) * params.across + unit) * {{ channels }}u;
//% for n in range(channels)
//% set parts = namespace(names=[])
//% for e in range(4 * n, 4 * n + 4)
//% set parts.names = parts.names + ["a%d_%d%s" % (s, e // channels, "" if channels == 1 else "." + "xyzw"[e % channels])]
//% endfor
//% if target == "u8"
        y[at + {{ n }}u] = packed(vec4<f32>({{ parts.names | join(", ") }}));
//% else
        y[at + {{ n }}u] = (vec4<f32>({{ parts.names | join(", ") }}));
//% endif
//% endfor
    }
//% endfor
}
