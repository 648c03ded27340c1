// Product of two arrays of complex numbers; an extent of 1 goes with any other.
// Memory: a, b and y are rows of complex numbers; strides are 0 along what is repeated.
// Limits: 2^32 - 2^11 elements.
//% include "arrays/combination/each.wgsl"

alias c64x1 = vec2<f32>;
alias W = c64x1;

struct Params {
    count: u32,
//% for axis in range(rank)
    extent{{ axis }}: u32,
    a_stride{{ axis }}: u32,
    b_stride{{ axis }}: u32,
//% endfor
}

@group(0) @binding(0) var<storage, read> a: array<c64x1>;
@group(0) @binding(1) var<storage, read> b: array<c64x1>;
@group(0) @binding(2) var<storage, read_write> y: array<c64x1>;
@group(0) @binding(3) var<uniform> params: Params;

fn result(index: u32) -> W {
    var rest = index;
    var at_a = 0u;
    var at_b = 0u;
//% for axis in range(rank - 1, -1, -1)
    {
        let above = rest / params.extent{{ axis }};
        let coordinate = rest - above * params.extent{{ axis }};
        rest = above;
        at_a += coordinate * params.a_stride{{ axis }};
        at_b += coordinate * params.b_stride{{ axis }};
    }
//% endfor
    let u = a[at_a];
    let v = b[at_b];
    return W(u.x * v.x - u.y * v.y, u.x * v.y + u.y * v.x);
}
