// Copies with another order: an index of the result is taken apart into coordinates, and the strides
// of x put them together again from `start` on. Strides may be 0 (an axis repeated) or negative (an
//% if wraps
// axis flipped: u32 wraps). A coordinate is moved by its shift and wrapped by its period first.
//% else
// axis flipped: u32 wraps).
//% endif
//
//% if width == 4
// Memory: extents count words from the outermost axis; the result in words (arrays/words.wgsl).
//% else
// Memory: extents from the outermost axis; the result in words (arrays/words.wgsl).
//% endif
//% import "arrays/words.wgsl" as typed
{{ typed.head([kind]) }}
//% include "arrays/combination/each.wgsl"

struct Params {
    count: u32,
    last: u32,
    start: u32,
//% for axis in range(rank)
    extent{{ axis }}: u32,
    stride{{ axis }}: u32,
//% if wraps
    shift{{ axis }}: u32,
    period{{ axis }}: u32,
//% endif
//% endfor
}

@group(0) @binding(0) var<storage, read> x: array<{{ typed.storage[kind] }}>;
@group(0) @binding(1) var<storage, read_write> y: array<{{ typed.storage[kind] }}>;
@group(0) @binding(2) var<uniform> params: Params;

fn place(index: u32) -> u32 {
    var rest = index;
    var at = params.start;
    var c = 0u;
//% for axis in range(rank - 1, -1, -1)
//% if axis
    c = rest % params.extent{{ axis }};
    rest /= params.extent{{ axis }};
//% else
    c = rest;
//% endif
//% if wraps
    at += {{ "(c + params.shift%d) %% params.period%d" % (axis, axis) }} * params.stride{{ axis }};
//% else
    at += c * params.stride{{ axis }};
//% endif
//% endfor
    return at;
}

fn result(i: u32) -> {{ typed.storage[kind] }} {
//% if width == 4
    return x[place(i)];
//% else
    let a = place(4u * i);
    let b = place(min(4u * i + 1u, params.last));
    let c = place(min(4u * i + 2u, params.last));
    let d = place(min(4u * i + 3u, params.last));
    let v = {{ typed.joined(kind, typed.at(kind, "x", "a"), typed.at(kind, "x", "b"), typed.at(kind, "x", "c"), typed.at(kind, "x", "d")) }};
    return {{ typed.stored(kind, "v") }};
//% endif
}
