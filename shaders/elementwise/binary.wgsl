// Two arrays of one shape, element by element: y = a {{ operator }} b, in f32.
//% include "elementwise/flat.wgsl"

struct Params { count: u32 }

@group(0) @binding(0) var<storage, read> a: array<W>;
@group(0) @binding(1) var<storage, read> b: array<W>;
@group(0) @binding(2) var<storage, read_write> y: array<W>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = word_of(id);
    if (i >= params.count) { return; }
    y[i] = W(F(a[i]) {{ operator }} F(b[i]));
}
