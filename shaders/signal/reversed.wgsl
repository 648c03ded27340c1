// An array from its last element to its first, with complex numbers as their conjugates: what turns
// convolution into correlation.
// Memory: x and y are rows of elements. Limits: 2^32 - 2^11 elements.
//% include "arrays/combination/each.wgsl"

alias c64x1 = vec2<f32>;
alias W = {{ scalar }};

struct Params { count: u32 }

@group(0) @binding(0) var<storage, read> x: array<W>;
@group(0) @binding(1) var<storage, read_write> y: array<W>;
@group(0) @binding(2) var<uniform> params: Params;

fn result(index: u32) -> W {
    let v = x[params.count - 1u - index];
//% if scalar == "c64x1"
    return W(v.x, -v.y);
//% else
    return v;
//% endif
}
