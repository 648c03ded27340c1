// Operands of softmax: y = exp(x - max) / sum exp(x - max) over each row, in f32.
//
// Memory: x and y are (rows, units) of words W of the storage scalar, a word being {{ width }}
// element(s) of a row. Exponents are differences from the row's largest element, so none is above
// zero and the sum is at least 1. x is read three times rather than a result be stored unfinished.
// Limits: 2^32 words.
//% if scalar == "f16"
enable f16;
//% endif

alias S = {{ scalar }};
//% if width == 4
alias W = vec4<S>;
alias F = vec4<f32>;
fn total(v: F) -> f32 { return (v.x + v.y) + (v.z + v.w); }
fn largest(v: F) -> f32 { return max(max(v.x, v.y), max(v.z, v.w)); }
//% else
alias W = S;
alias F = f32;
fn total(v: F) -> f32 { return v; }
fn largest(v: F) -> f32 { return v; }
//% endif

struct Params { rows: u32, units: u32 }

@group(0) @binding(0) var<storage, read> x: array<W>;
@group(0) @binding(1) var<storage, read_write> y: array<W>;
@group(0) @binding(2) var<uniform> params: Params;
