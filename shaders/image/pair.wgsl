// Two images of one shape, element by element: {{ {"difference": "a - b", "sharpened": "a + amount (a - b) where |a - b| reaches the threshold"}[kind] }}.
// Memory: rows of words of four elements; b may be f32 where a is u8.
// Limits: 2^32 words.
//% set wide = true
//% include "image/words.wgsl"
//% include "arrays/combination/each.wgsl"

struct Params { count: u32{{ ", amount: f32, threshold: f32" if kind == "sharpened" else "" }} }

@group(0) @binding(0) var<storage, read> x: array<X>;
@group(0) @binding(1) var<storage, read> b: array<{{ "u8x4" if other == "u8" else "vec4<f32>" }}>;
@group(0) @binding(2) var<storage, read_write> y: array<Y>;
@group(0) @binding(3) var<uniform> params: Params;

fn result(i: u32) -> Y {
    let v = {{ "four_of(x[i])" if source == "u8" else "x[i]" }};
    let d = v - {{ "four_of(b[i])" if other == "u8" else "b[i]" }};
//% if kind == "difference"
    let made = d;
//% else
    let made = v + params.amount * select(vec4<f32>(), d, abs(d) >= vec4<f32>(params.threshold));
//% endif
    return {{ "packed(made)" if target == "u8" else "made" }};
}
