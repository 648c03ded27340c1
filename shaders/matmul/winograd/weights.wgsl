// Weights of a 3 x 3 convolution for blocks of {{ block }} x {{ block }} results: U = G g G'. Of blocks of 4
// it is twice that.
//
// Memory: as in matmul/conv/other_weights.wgsl.
// Limits: likewise.
//% set doubles = false
//% include "matmul/conv/other_weights.wgsl"
//% from "matmul/winograd/transforms.wgsl" import weight_scale, of_weights, plane, points with context

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = word_of(id);
    if (i >= params.count) { return; }
//% for y in range(3)
//% for x in range(3)
    let g{{ y }}{{ x }} = weight(i, {{ 3 * y + x }}u);
//% endfor
//% endfor
//% for y in range(points)
//% for x in range(3)
    let h{{ y }}{{ x }} = {{ of_weights(y, ["g0%d" % x, "g1%d" % x, "g2%d" % x]) }};
//% endfor
//% endfor
//% for y in range(points)
//% for x in range(points)
    u[i + {{ plane(y, x) }}u * params.count] = W({{ weight_scale }} * ({{ of_weights(x, ["h%d0" % y, "h%d1" % y, "h%d2" % y]) }}));
//% endfor
//% endfor
}
