// The windows along one axis as channels: y[o, i, n, k, c] = x[o, i stride + k dilation - before, n, c],
// or 0 outside.
// Memory: x is (outer, size, inner, units) words, y (outer, result, inner, kernel, units).
// Limits: those of arrays/combination/flat.wgsl.
//% include "arrays/combination/flat.wgsl"
//% include "arrays/combination/each.wgsl"

struct Params {
    count: u32, units: u32, kernel: u32, inner: u32, size: u32, result: u32, stride: u32, dilation: u32,
    before: i32,
}

@group(0) @binding(0) var<storage, read> x: array<W>;
@group(0) @binding(1) var<storage, read_write> y: array<W>;
@group(0) @binding(2) var<uniform> params: Params;

fn result(index: u32) -> W {
    var rest = index / params.units;
    let c = index - rest * params.units;
    let k = rest % params.kernel;
    rest /= params.kernel;
    let n = rest % params.inner;
    rest /= params.inner;
    let i = rest % params.result;
    let outer = rest / params.result;
    let at = u32(i32(i * params.stride + k * params.dilation) - params.before);
    var v = W();
    if (at < params.size) {
        v = x[((outer * params.size + at) * params.inner + n) * params.units + c];
    }
    return v;
}
