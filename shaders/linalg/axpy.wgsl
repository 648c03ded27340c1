// Complex y + a x, or a x alone, element by element.
//
// Memory: rows of complex numbers, a word each. Limits: as flat kernels.
//% include "arrays/combination/each.wgsl"

alias c64x1 = vec2<f32>;

struct Params {
    count: u32,
    re: f32,
    im: f32,
}

@group(0) @binding(0) var<storage, read> x: array<c64x1>;
//% if plus
@group(0) @binding(1) var<storage, read> y0: array<c64x1>;
//% endif
@group(0) @binding(2) var<storage, read_write> y: array<c64x1>;
@group(0) @binding(3) var<uniform> params: Params;

fn result(i: u32) -> c64x1 {
    let v = x[i];
    let scaled = vec2<f32>(params.re * v.x - params.im * v.y, params.re * v.y + params.im * v.x);
//% if plus
    return y0[i] + scaled;
//% else
    return scaled;
//% endif
}
