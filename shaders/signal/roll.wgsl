// An array rolled along each axis: it begins at another place and wraps round at the ends. So the zero
// frequency moves to the middle.
// Memory: x and y are rows of elements. Limits: 2^32 - 2^11 elements.
//% if scalar == "f16"
enable f16;
//% endif
//% include "arrays/combination/each.wgsl"

alias c64x1 = vec2<f32>;
alias W = {{ scalar }};

struct Params {
    count: u32,
//% for axis in range(rank)
    extent{{ axis }}: u32,
    start{{ axis }}: u32,
//% endfor
}

@group(0) @binding(0) var<storage, read> x: array<W>;
@group(0) @binding(1) var<storage, read_write> y: array<W>;
@group(0) @binding(2) var<uniform> params: Params;

fn result(index: u32) -> W {
    var rest = index;
    var at = 0u;
    var stride = 1u;
//% for axis in range(rank - 1, -1, -1)
    {
        let extent = params.extent{{ axis }};
        let coordinate = rest % extent;
        rest /= extent;
        var source = coordinate + params.start{{ axis }};
        if (source >= extent) { source -= extent; }
        at += source * stride;
        stride *= extent;
    }
//% endfor
    return x[at];
}
