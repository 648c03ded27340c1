// Moves elements by maps: element (r, c) of the result is element (rows[r], columns[c]) of the
// source, or the fill where one is -1. For u8 pixels that are not whole words (else: items.wgsl).

struct Params { elements: u32, rows: u32, row: u32, x_rows: u32, x_row: u32, fill: f32 }

@group(0) @binding(1) var<storage, read> rows: array<i32>;
@group(0) @binding(2) var<storage, read> columns: array<i32>;
@group(0) @binding(3) var<storage, read_write> y: array<Y>;
@group(0) @binding(4) var<uniform> params: Params;

fn element(image: u32, row: u32, column: u32) -> F {
    let r = rows[row];
    let c = columns[column];
    if (min(r, c) < 0) { return params.fill; }
    return load((image * params.x_rows + u32(r)) * params.x_row + u32(c));
}
//% include "image/cells.wgsl"
