// Canny's thinning: the gradient's length where it is at least `low` and no less than its two
// neighbours along the gradient, which are interpolated between pixels; else 0. The outermost
// pixels are 0. As scikit-image's `canny` computes it.
// Memory: x is the derivative along the height, across that along the width.

struct Params { elements: u32, rows: u32, row: u32, low: f32 }

@group(0) @binding(1) var<storage, read> across: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<Y>;
@group(0) @binding(3) var<uniform> params: Params;

fn size_at(at: u32) -> f32 {
    let a = x[at];
    let b = across[at];
    return sqrt(a * a + b * b);
}

// Whether m is no less than what lies between the pixels at a and b, at the part w of b.
fn tops(m: f32, a: u32, b: u32, w: f32) -> bool {
    return size_at(b) * w + size_at(a) * (1.0 - w) <= m;
}

fn element(image: u32, row: u32, column: u32) -> F {
    if (row == 0u || row + 1u >= params.rows || column == 0u || column + 1u >= params.row) {
        return 0.0;
    }
    let at = (image * params.rows + row) * params.row + column;
    let m = size_at(at);
    if (m < params.low) { return 0.0; }
    let i = x[at];
    let j = across[at];
    if (i == 0.0 && j == 0.0) { return 0.0; }
    let steep = abs(i) > abs(j) || (abs(i) == abs(j) && !same_sign(i, j));
    let w = select(abs(i) / abs(j), abs(j) / abs(i), steep);
    // One pixel on along the gradient's larger part, and one on along both; then back.
    let line = params.row;
    var near_on = at + 1u;
    var near_back = at - 1u;
    if (steep) {
        near_on = select(at - line, at + line, same_sign(i, j));
        near_back = select(at + line, at - line, same_sign(i, j));
    }
    let far_on = select(at - line + 1u, at + line + 1u, same_sign(i, j));
    let far_back = select(at + line - 1u, at - line - 1u, same_sign(i, j));
    if (tops(m, near_on, far_on, w) && tops(m, near_back, far_back, w)) { return m; }
    return 0.0;
}

fn same_sign(i: f32, j: f32) -> bool {
    return (i >= 0.0 && j >= 0.0) || (i <= 0.0 && j <= 0.0);
}
//% include "image/cells.wgsl"
