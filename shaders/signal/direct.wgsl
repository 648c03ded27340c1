// Convolution as its definition says, over {{ rank }} axes: y[o] = sum_k h[k] x[o + first - k], where what lies
// outside of x is zero. For short h: each result reads all of it, and the caches serve neighbours.
// Memory: x, h and y are rows of elements. Limits: 2^31 elements an axis; the sum of one result
// runs from the first element of h to the last.
//% include "arrays/combination/each.wgsl"

alias c64x1 = vec2<f32>;
alias A = {{ a }};
alias B = {{ b }};
//% if "c64x1" in (a, b)
alias W = c64x1;
//% else
alias W = f32;
//% endif

struct Params {
    count: u32,
//% for axis in range(rank)
    extent{{ axis }}: u32,
    x_extent{{ axis }}: u32,
    taps{{ axis }}: u32,
    first{{ axis }}: u32,
//% endfor
}

@group(0) @binding(0) var<storage, read> x: array<A>;
@group(0) @binding(1) var<storage, read> h: array<B>;
@group(0) @binding(2) var<storage, read_write> y: array<W>;
@group(0) @binding(3) var<uniform> params: Params;

fn term(u: A, v: B) -> W {
//% if a == "c64x1" and b == "c64x1"
    return W(u.x * v.x - u.y * v.y, u.x * v.y + u.y * v.x);
//% else
    return u * v;
//% endif
}

fn result(index: u32) -> W {
    var rest = index;
//% for axis in range(rank - 1, -1, -1)
    let at{{ axis }} = rest % params.extent{{ axis }} + params.first{{ axis }};
    rest /= params.extent{{ axis }};
    // Taps that meet x: from the first that is not past its end to the last that is not before it.
    let low{{ axis }} = max(at{{ axis }}, params.x_extent{{ axis }} - 1u) - (params.x_extent{{ axis }} - 1u);
    let high{{ axis }} = min(at{{ axis }} + 1u, params.taps{{ axis }});
//% endfor
    var sum = W();
//% for axis in range(rank)
    for (var k{{ axis }} = low{{ axis }}; k{{ axis }} < high{{ axis }}; k{{ axis }}++) {
//% if axis
    let x_row{{ axis }} = x_row{{ axis - 1 }} * params.x_extent{{ axis }} + at{{ axis }} - k{{ axis }};
    let h_row{{ axis }} = h_row{{ axis - 1 }} * params.taps{{ axis }} + k{{ axis }};
//% else
    let x_row{{ axis }} = at{{ axis }} - k{{ axis }};
    let h_row{{ axis }} = k{{ axis }};
//% endif
//% endfor
        sum += term(x[x_row{{ rank - 1 }}], h[h_row{{ rank - 1 }}]);
//% for axis in range(rank)
    }
//% endfor
    return sum;
}
