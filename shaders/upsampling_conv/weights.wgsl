// Weights of the four 2 x 2 convolutions that a 3 x 3 one of an image enlarged by two comes to: a pixel
// under several taps gets their sum, made in f32 and rounded once. One column of one channel an
// invocation.
//
// Memory: w is (3, 3, C, N), u (2, 2, 2, 2, C, N): parities of y and x, then taps; both of the storage
// scalar S; `count` is C N.
// Limits: 2^32 - 2^11 elements of a plane.
//% include "elementwise/flat.wgsl"

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
    let w{{ y }}{{ x }} = F(w[i + {{ 3 * y + x }}u * params.count]);
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
