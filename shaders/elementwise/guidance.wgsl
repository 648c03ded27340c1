// Classifier-free guidance (Ho and Salimans 2022, arXiv 2207.12598) on a batch whose first half is
// unconditional, its second half conditional: y = u + scale (c - u), in f32.
//% include "elementwise/flat.wgsl"

struct Params { count: u32, scale: f32 }

@group(0) @binding(0) var<storage, read> x: array<W>;
@group(0) @binding(1) var<storage, read_write> y: array<W>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = word_of(id);
    if (i >= params.count) { return; }
    let u = F(x[i]);
    let c = F(x[params.count + i]);
    y[i] = W(u + params.scale * (c - u));
}
