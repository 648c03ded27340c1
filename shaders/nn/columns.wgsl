// {{ kind }} over an axis that is not the last: one column an invocation, neighbours side by side.
//
// One pass finds the largest element and the sum of exponentials below it (the sum is scaled anew
// where a larger element comes; the least finite one keeps -infinity from itself), a second one
// writes.
// Memory: x and y are (count / inner, length, inner) words. Limits: those of arrays/combination/flat.wgsl.
//% include "arrays/combination/flat.wgsl"

struct Params { count: u32, length: u32, inner: u32 }

@group(0) @binding(0) var<storage, read> x: array<W>;
@group(0) @binding(1) var<storage, read_write> y: array<W>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let index = word_of(id);
    if (index >= params.count) { return; }
    let outer = index / params.inner;
    let first = outer * params.inner * params.length + index - outer * params.inner;
    let end = first + params.length * params.inner;
    var top = F(x[first]);
    var sum = F(1.0);
    for (var i = first + params.inner; i < end; i += params.inner) {
        let v = F(x[i]);
        let higher = max(max(top, v), F(-3.4e38));
        sum = sum * exp(top - higher) + exp(v - higher);
        top = higher;
    }
//% if kind == "softmax"
    let scale = 1.0 / sum;
    for (var i = first; i < end; i += params.inner) { y[i] = W(exp(F(x[i]) - top) * scale); }
//% else
    let less = log(sum);
    for (var i = first; i < end; i += params.inner) { y[i] = W((F(x[i]) - top) - less); }
//% endif
}
