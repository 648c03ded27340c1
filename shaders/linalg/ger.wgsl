// A + alpha x y^T, element by element; without A, alpha x y^T.
//
// Memory: A and the result (batch, M, N), x (batch, M), y (batch, N), row-major in words of {{ width }}.
// Limits: N a multiple of the word; as flat kernels.
//% include "arrays/combination/flat.wgsl"
//% include "arrays/combination/each.wgsl"

struct Params {
    count: u32,
    m: u32,
    words: u32,
    alpha: f32,
}

@group(0) @binding(0) var<storage, read> x: array<S>;
@group(0) @binding(1) var<storage, read> other: array<W>;
//% if plus
@group(0) @binding(2) var<storage, read> a: array<W>;
//% endif
@group(0) @binding(3) var<storage, read_write> y: array<W>;
@group(0) @binding(4) var<uniform> params: Params;

fn result(at: u32) -> W {
    let row = at / params.words;
    let column = row / params.m * params.words + at % params.words;
    let scaled = F(params.alpha * f32(x[row]));
//% if plus
    return W(fma(scaled, F(other[column]), F(a[at])));
//% else
    return W(scaled * F(other[column]));
//% endif
}
