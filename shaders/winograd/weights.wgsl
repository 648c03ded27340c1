// Weights of a 3 x 3 convolution for blocks of {{ block }} x {{ block }} results: U = G g G', computed in f32 and
// rounded once. One column of one channel an invocation.
//
// Memory: w is (3, 3, C, N), u (planes, C, N), both of the storage scalar S; `count` is C N. U of blocks
// of 4 is eight times as large, since an eighth is taken of their pixels.
// Limits: 2^32 - 2^11 elements of a plane.
//% set doubles = false
//% include "elementwise/flat.wgsl"
//% from "winograd/transforms.wgsl" import of_weights, plane, points with context

struct Params { count: u32 }

@group(0) @binding(0) var<storage, read> w: array<W>;
@group(0) @binding(1) var<storage, read_write> u: array<W>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = word_of(id);
    if (i >= params.count) { return; }
//% for y in range(3)
//% for x in range(3)
    let g{{ y }}{{ x }} = F(w[i + {{ 3 * y + x }}u * params.count]);
//% endfor
//% endfor
//% for y in range(points)
//% for x in range(3)
    let h{{ y }}{{ x }} = {{ of_weights(y, ["g0%d" % x, "g1%d" % x, "g2%d" % x]) }};
//% endfor
//% endfor
//% for y in range(points)
//% for x in range(points)
    u[i + {{ plane(y, x) }}u * params.count] = W({{ "8.0 * (" if block == 4 else "(" }}{{ of_weights(x, ["h%d0" % y, "h%d1" % y, "h%d2" % y]) }}));
//% endfor
//% endfor
}
