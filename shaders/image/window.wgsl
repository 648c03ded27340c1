// A window of any form: tap k is the pixel at (offsets[2 k], offsets[2 k + 1]) from the result's;
// taps are {{ {"sum": "weighted and summed from the first to the last", "min": "folded to their least", "max": "folded to their greatest"}[fold] }}.
//% include "image/border.wgsl"

struct Params {
    elements: u32,
    rows: u32,
    row: u32,
    taps: u32,
    mode: u32,
    fill: f32,
}

@group(0) @binding(1) var<storage, read> offsets: array<i32>;
//% if fold == "sum"
@group(0) @binding(2) var<storage, read> weights: array<f32>;
//% endif
@group(0) @binding(3) var<storage, read_write> y: array<Y>;
@group(0) @binding(4) var<uniform> params: Params;

fn element(image: u32, row: u32, column: u32) -> F {
    let place = column / CHANNELS;
    let start = image * params.rows * params.row + column - place * CHANNELS;
    let width = i32(params.row / CHANNELS);
    var total = F();
    for (var k = 0u; k < params.taps; k++) {
        let r = inside(i32(row) + offsets[2u * k], i32(params.rows), params.mode);
        let c = inside(i32(place) + offsets[2u * k + 1u], width, params.mode);
        var v = F(params.fill);
        if (min(r, c) >= 0) { v = load(start + u32(r) * params.row + u32(c) * CHANNELS); }
//% if fold == "sum"
        total += weights[k] * v;
//% else
        total = select({{ fold }}(total, v), v, k == 0u);
//% endif
    }
    return total;
}
//% include "image/cells.wgsl"
