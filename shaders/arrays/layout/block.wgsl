// Copies a block of every row: y[row, y_start + i] = x[row, x_start + i] for i < inner. Slices,
// concatenations and repetitions are such copies (x_pitch 0 reads the same row again).
// All extents count words.
//% include "arrays/combination/flat.wgsl"
//% set scattered = true
//% include "arrays/combination/each.wgsl"

struct Params {
    count: u32,
    inner: u32,
    x_pitch: u32,
    x_start: u32,
    y_pitch: u32,
    y_start: u32,
}

@group(0) @binding(0) var<storage, read> x: array<W>;
@group(0) @binding(1) var<storage, read_write> y: array<W>;
@group(0) @binding(2) var<uniform> params: Params;

fn result(index: u32) -> W {
    let row = index / params.inner;
    return x[row * params.x_pitch + params.x_start + index - row * params.inner];
}

fn goal(index: u32) -> u32 {
    let row = index / params.inner;
    return row * params.y_pitch + params.y_start + index - row * params.inner;
}
