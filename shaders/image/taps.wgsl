//% if vertical
// A window of `taps` neighbours along the height, {{ {"sum": "weighted and summed from the first to the last", "min": "their least", "max": "their greatest"}[fold] }}.
//% else
// A window of `taps` neighbours along the width, {{ {"sum": "weighted and summed from the first to the last", "min": "their least", "max": "their greatest"}[fold] }}.
//% endif
// Tap k of place p is p + k - origin; beyond the edge, the border's mode decides.
//% include "image/border.wgsl"

// length: places on the axis.
struct Params {
    elements: u32,
    rows: u32,
    row: u32,
    length: i32,
    taps: i32,
    origin: i32,
    mode: u32,
    fill: f32,
}

//% if fold == "sum"
@group(0) @binding(1) var<storage, read> weights: array<f32>;
//% endif
@group(0) @binding(2) var<storage, read_write> y: array<Y>;
@group(0) @binding(3) var<uniform> params: Params;

fn element(image: u32, row: u32, column: u32) -> F {
//% if vertical
    let first = i32(row) - params.origin;
    let start = image * params.rows * params.row + column;
    let pitch = params.row;
//% else
    let place = column / CHANNELS;
    let first = i32(place) - params.origin;
    let start = (image * params.rows + row) * params.row + column - place * CHANNELS;
    let pitch = CHANNELS;
//% endif
    var total = F();
    for (var k = 0; k < params.taps; k++) {
        let p = inside(first + k, params.length, params.mode);
        var v = F(params.fill);
        if (p >= 0) { v = load(start + u32(p) * pitch); }
//% if fold == "sum"
        total += weights[k] * v;
//% else
        total = select({{ fold }}(total, v), v, k == 0);
//% endif
    }
    return total;
}
//% include "image/cells.wgsl"
