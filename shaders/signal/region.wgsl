// A region of an array, which may reach beyond it: elements outside of x are zero.
// Memory: x and y are rows of elements; starts may be negative. Limits: 2^31 elements an axis.
//% include "arrays/combination/each.wgsl"

alias c64x1 = vec2<f32>;
alias W = {{ scalar }};

struct Params {
    count: u32,
//% for axis in range(rank)
    extent{{ axis }}: u32,
    x_extent{{ axis }}: u32,
    start{{ axis }}: i32,
//% endfor
}

@group(0) @binding(0) var<storage, read> x: array<W>;
@group(0) @binding(1) var<storage, read_write> y: array<W>;
@group(0) @binding(2) var<uniform> params: Params;

fn result(index: u32) -> W {
    var rest = index;
    var at = 0u;
    var stride = 1u;
    var inside = true;
//% for axis in range(rank - 1, -1, -1)
    {
        let extent = params.extent{{ axis }};
        let above = rest / extent;
        let source = u32(i32(rest - above * extent) + params.start{{ axis }});
        rest = above;
        inside = inside && source < params.x_extent{{ axis }};
        at += source * stride;
        stride *= params.x_extent{{ axis }};
    }
//% endfor
    if (!inside) { return W(); }
    return x[at];
}
