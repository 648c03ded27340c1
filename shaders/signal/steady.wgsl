// States of a filter whose input has always been its first sample: a table's numbers times that sample.
// Memory: x is (outer, length, inner), y is (sections, outer, order, inner), unit (sections, order).
// Limits: 2^32 - 2^11 elements.
//% include "arrays/combination/each.wgsl"

alias c64x1 = vec2<f32>;
alias W = {{ scalar }};

struct Params {
    count: u32,
    inner: u32,
    outer: u32,
    length: u32,
    order: u32,
    first: u32,
}

@group(0) @binding(0) var<storage, read> x: array<W>;
@group(0) @binding(1) var<storage, read> unit: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<W>;
@group(0) @binding(3) var<uniform> params: Params;

fn result(index: u32) -> W {
    let above = index / params.inner;
    let inner = index - above * params.inner;
    let row = above / params.order;
    let state = above - row * params.order;
    let section = row / params.outer;
    let outer = row - section * params.outer;
    let v = x[(outer * params.length + params.first) * params.inner + inner];
    return unit[section * params.order + state] * v;
}
