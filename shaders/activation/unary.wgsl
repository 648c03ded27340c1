// An activation of every element: y = {{ function }}(x), in f32.
//% include "elementwise/flat.wgsl"
//% include "activation/activations.wgsl"

struct Params { count: u32 }

@group(0) @binding(0) var<storage, read> x: array<W>;
@group(0) @binding(1) var<storage, read_write> y: array<W>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = word_of(id);
    if (i >= params.count) { return; }
    let v = F(x[i]);
    y[i] = W(F({{ function }}(v.x), {{ function }}(v.y), {{ function }}(v.z), {{ function }}(v.w)));
}
