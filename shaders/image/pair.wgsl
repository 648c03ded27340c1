// Two images of one shape, element by element: {{ {"difference": "a - b", "sharpened": "a + amount (a - b) where |a - b| reaches the threshold"}[kind] }}.
// Memory: rows of words of four elements; b may be f32 where a is u8.
// Limits: 2^32 words.
//% set wide = true
//% include "image/words.wgsl"
//% include "arrays/combination/each.wgsl"

//% if kind == "sharpened"
struct Params { count: u32, amount: f32, threshold: f32 }
//% else
struct Params { count: u32 }
//% endif

@group(0) @binding(0) var<storage, read> x: array<X>;
//% if other == "u8"
@group(0) @binding(1) var<storage, read> b: array<u8x4>;
//% else
@group(0) @binding(1) var<storage, read> b: array<vec4<f32>>;
//% endif
@group(0) @binding(2) var<storage, read_write> y: array<Y>;
@group(0) @binding(3) var<uniform> params: Params;

fn result(i: u32) -> Y {
//% if source == "u8"
    let v = four_of(x[i]);
//% else
    let v = x[i];
//% endif
//% if other == "u8"
    let d = v - four_of(b[i]);
//% else
    let d = v - b[i];
//% endif
//% if kind == "difference"
    let made = d;
//% else
    let made = v + params.amount * select(vec4<f32>(), d, abs(d) >= vec4<f32>(params.threshold));
//% endif
//% if target == "u8"
    return packed(made);
//% else
    return made;
//% endif
}
