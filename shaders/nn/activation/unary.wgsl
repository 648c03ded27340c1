// An activation of every element: y = {{ function }}(x), in f32.
//% include "arrays/combination/flat.wgsl"
//% include "arrays/combination/each.wgsl"
//% include "nn/activation/activations.wgsl"

struct Params { count: u32 }

@group(0) @binding(0) var<storage, read> x: array<W>;
@group(0) @binding(1) var<storage, read_write> y: array<W>;
@group(0) @binding(2) var<uniform> params: Params;

fn result(i: u32) -> W {
    let v = F(x[i]);
    return W(F({{ function }}(v.x), {{ function }}(v.y), {{ function }}(v.z), {{ function }}(v.w)));
}
