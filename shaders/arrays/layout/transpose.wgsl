// Axes of a row-major array in another order, any rank: the result's index is taken apart into
// coordinates, from the last axis to the first, which the strides of x put together again.
// Axes that stay neighbours are merged before; extents and strides count words.
//% include "arrays/combination/flat.wgsl"
//% include "arrays/combination/each.wgsl"

struct Params {
    count: u32,
//% for axis in range(rank)
    extent{{ axis }}: u32,
    stride{{ axis }}: u32,
//% endfor
}

@group(0) @binding(0) var<storage, read> x: array<W>;
@group(0) @binding(1) var<storage, read_write> y: array<W>;
@group(0) @binding(2) var<uniform> params: Params;

fn result(index: u32) -> W {
    var rest = index;
    var at = 0u;
//% for axis in range(rank - 1, 0, -1)
    at += rest % params.extent{{ axis }} * params.stride{{ axis }};
    rest /= params.extent{{ axis }};
//% endfor
    return x[at + rest * params.stride0];
}
