// Linear combination of {{ terms }} array(s) of one shape, summed in f32 from the first to the last.
// The coefficients are in the uniform, so that a sampler's steps share one kernel.
//% include "elementwise/flat.wgsl"

struct Params {
    count: u32,
//% for i in range(terms)
    c{{ i }}: f32,
//% endfor
}

//% for i in range(terms)
@group(0) @binding({{ i }}) var<storage, read> x{{ i }}: array<W>;
//% endfor
@group(0) @binding({{ terms }}) var<storage, read_write> y: array<W>;
@group(0) @binding({{ terms + 1 }}) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = word_of(id);
    if (i >= params.count) { return; }
    var sum = params.c0 * F(x0[i]);
//% for i in range(1, terms)
    sum += params.c{{ i }} * F(x{{ i }}[i]);
//% endfor
    y[i] = W(sum);
}
