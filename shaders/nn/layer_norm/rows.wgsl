// Operands of layer norm: y = (x - mean) / sqrt(variance + eps) * gamma + beta over each row.
//
// Memory: x and y are (rows, units) of words W of the storage scalar, a word being {{ width }}
// element(s) of a row; gamma and beta are (units) of f32 words. Statistics are in f32, in two
// passes: the second sums around the first one's mean, so that a large mean does not cancel, and
// mends that mean's own rounding.
// Limits: 2^32 words.
//% if scalar == "f16"
enable f16;
//% endif

alias S = {{ scalar }};
//% if width == 4
alias W = vec4<S>;
alias F = vec4<f32>;
fn total(v: F) -> f32 { return (v.x + v.y) + (v.z + v.w); }
//% else
alias W = S;
alias F = f32;
fn total(v: F) -> f32 { return v; }
//% endif

struct Params { rows: u32, units: u32, eps: f32 }

@group(0) @binding(0) var<storage, read> x: array<W>;
@group(0) @binding(1) var<storage, read> gamma: array<F>;
@group(0) @binding(2) var<storage, read> beta: array<F>;
@group(0) @binding(3) var<storage, read_write> y: array<W>;
@group(0) @binding(4) var<uniform> params: Params;

// Elements in a row.
fn row_size() -> f32 {
    return f32(params.units * {{ width }}u);
}
