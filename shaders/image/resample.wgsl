//% if vertical
// Resizing along the height: place p of the result is the sum of `taps` neighbours from
//% else
// Resizing along the width: place p of the result is the sum of `taps` neighbours from
//% endif
// starts[p] on, with weights made by the host in float64.
// Memory: weights (places, taps), zero where a tap is not used.

// x_rows, x_row: rows of an image of the source, elements of its row.
struct Params {
    elements: u32,
    rows: u32,
    row: u32,
    x_rows: u32,
    x_row: u32,
    taps: u32,
}

@group(0) @binding(1) var<storage, read> starts: array<u32>;
@group(0) @binding(2) var<storage, read> weights: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<Y>;
@group(0) @binding(4) var<uniform> params: Params;

fn element(image: u32, row: u32, column: u32) -> F {
//% if vertical
    let place = row;
    var at = (image * params.x_rows + starts[place]) * params.x_row + column;
    let pitch = params.x_row;
//% else
    let place = column / CHANNELS;
    var at = (image * params.x_rows + row) * params.x_row + starts[place] * CHANNELS;
    at += column - place * CHANNELS;
    let pitch = CHANNELS;
//% endif
    let first = place * params.taps;
    var total = F();
    for (var k = 0u; k < params.taps; k++) {
        total += weights[first + k] * load(at);
        at += pitch;
    }
    return total;
}
//% include "image/cells.wgsl"
