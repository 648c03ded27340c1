// Images of another size, mode {{ mode }}.
//
// Memory: x is (N, height, width, units) words, y (N, out_height, out_width, units).
// Limits: those of arrays/combination/flat.wgsl; nearest: those of nn/share.wgsl.
//% include "arrays/combination/flat.wgsl"
//% include "arrays/combination/each.wgsl"
//% include "nn/share.wgsl"

// step: old pixels from one new pixel to the next.
struct Params {
    count: u32, units: u32, height: u32, width: u32, out_height: u32, out_width: u32,
    step_y: f32, step_x: f32,
}

@group(0) @binding(0) var<storage, read> x: array<W>;
@group(0) @binding(1) var<storage, read_write> y: array<W>;
@group(0) @binding(2) var<uniform> params: Params;

//% if mode == "nearest"
fn nearest(i: u32, old: u32, new_size: u32, step: f32) -> u32 {
//% if exact
    return share_of(i, old, new_size, 0u);
//% else
    return min(u32(f32(i) * step), old - 1u);
//% endif
}
//% else
// Where a new pixel lies between old ones.
fn place(i: u32, step: f32) -> f32 {
//% if align
    return f32(i) * step;
//% else
    return max(fma(f32(i) + 0.5, step, -0.5), 0.0);
//% endif
}
//% endif

fn result(index: u32) -> W {
    let pixel = index / params.units;
    let c = index - pixel * params.units;
    let line = pixel / params.out_width;
    let image = line / params.out_height;
    let row = line - image * params.out_height;
    let column = pixel - line * params.out_width;
    let plane = image * params.height;
//% if mode == "nearest"
    let iy = nearest(row, params.height, params.out_height, params.step_y);
    let ix = nearest(column, params.width, params.out_width, params.step_x);
    return x[((plane + iy) * params.width + ix) * params.units + c];
//% else
    let fy = place(row, params.step_y);
    let fx = place(column, params.step_x);
    let y0 = min(u32(fy), params.height - 1u);
    let x0 = min(u32(fx), params.width - 1u);
    let wy = fy - f32(y0);
    let wx = fx - f32(x0);
    let above = (plane + y0) * params.width;
    let below = (plane + min(y0 + 1u, params.height - 1u)) * params.width;
    let x1 = min(x0 + 1u, params.width - 1u);
    let a = F(x[(above + x0) * params.units + c]);
    let b = F(x[(above + x1) * params.units + c]);
    let d = F(x[(below + x0) * params.units + c]);
    let e = F(x[(below + x1) * params.units + c]);
    return W((1.0 - wy) * ((1.0 - wx) * a + wx * b) + wy * ((1.0 - wx) * d + wx * e));
//% endif
}
