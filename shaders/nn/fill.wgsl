// One number everywhere.
// Memory: y is a row of words. Limits: those of arrays/combination/flat.wgsl.
//% include "arrays/combination/flat.wgsl"

struct Params { count: u32, value: f32 }

@group(0) @binding(0) var<storage, read_write> y: array<W>;
@group(0) @binding(1) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = word_of(id);
    if (i < params.count) { y[i] = W(F(params.value)); }
}
