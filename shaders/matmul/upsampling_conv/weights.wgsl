// Weights of the four 2 x 2 convolutions that a 3 x 3 one of an image enlarged by two comes to: a pixel
// under several taps gets their sum.
//
// Memory: as in matmul/conv/other_weights.wgsl; planes are parities of y and x, then taps.
// Limits: likewise.
//% include "matmul/conv/other_weights.wgsl"

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = word_of(id);
    if (i >= params.count) { return; }
//% for y in range(3)
//% for x in range(3)
    let w{{ y }}{{ x }} = weight(i, {{ 3 * y + x }}u);
//% endfor
//% endfor
//% set taps = [[[0], [1, 2]], [[0, 1], [2]]]
//% for plane in range(16)
//% set terms = []
//% for y in taps[plane // 8][plane // 2 % 2]
//% for x in taps[plane // 4 % 2][plane % 2]
//% set _ = terms.append("w%d%d" % (y, x))
//% endfor
//% endfor
    u[i + {{ plane }}u * params.count] = W({{ terms | join(" + ") }});
//% endfor
}
