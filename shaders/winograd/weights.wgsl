// Weights of a 3 x 3 convolution for F(2 x 2, 3 x 3): U = G g G' (Lavin and Gray 2015, arXiv
// 1509.09308), computed in f32 and rounded once. One column of one channel an invocation.
//
// Memory: w is (3, 3, C, N), u (16, C, N), both of the storage scalar S; `count` is C N.
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
    let g{{ y }}{{ x }} = F(w[i + {{ 3 * y + x }}u * params.count]);
//% endfor
//% endfor
//% for x in range(3)
    let h0{{ x }} = g0{{ x }};
    let h1{{ x }} = 0.5 * (g0{{ x }} + g1{{ x }} + g2{{ x }});
    let h2{{ x }} = 0.5 * (g0{{ x }} - g1{{ x }} + g2{{ x }});
    let h3{{ x }} = g2{{ x }};
//% endfor
//% for y in range(4)
    u[i + {{ 4 * y }}u * params.count] = W(h{{ y }}0);
    u[i + {{ 4 * y + 1 }}u * params.count] = W(0.5 * (h{{ y }}0 + h{{ y }}1 + h{{ y }}2));
    u[i + {{ 4 * y + 2 }}u * params.count] = W(0.5 * (h{{ y }}0 - h{{ y }}1 + h{{ y }}2));
    u[i + {{ 4 * y + 3 }}u * params.count] = W(h{{ y }}2);
//% endfor
}
