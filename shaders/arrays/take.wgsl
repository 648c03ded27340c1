// Elements of x, (outer, n, inner), at places along its middle axis: the result is (outer, m, inner).
//% if along
// Each element of the result has a place of its own.
//% else
// All share the m places.
//% endif
//
//% if width == 4
// Memory: inner counts words.
//% else
// Memory: the result in words of four (arrays/words.wgsl).
//% endif
//% import "arrays/words.wgsl" as typed
{{ typed.head([kind]) }}
//% include "arrays/combination/each.wgsl"
//% include "arrays/indices.wgsl"

struct Params { count: u32, last: u32, n: u32, m: u32, inner: u32 }

@group(0) @binding(0) var<storage, read> x: array<{{ typed.storage[kind] }}>;
@group(0) @binding(1) var<storage, read> places: array<{{ index }}>;
@group(0) @binding(2) var<storage, read_write> y: array<{{ typed.storage[kind] }}>;
@group(0) @binding(3) var<uniform> params: Params;

fn source(e: u32) -> u32 {
    let row = e / params.inner;
    let o = row / params.m;
//% if along
    let at = clipped(places[e], params.n);
//% else
    let at = clipped(places[row - o * params.m], params.n);
//% endif
    return (o * params.n + at) * params.inner + e - row * params.inner;
}

fn result(i: u32) -> {{ typed.storage[kind] }} {
//% if width == 4
    return x[source(i)];
//% else
    let a = source(4u * i);
    let b = source(min(4u * i + 1u, params.last));
    let c = source(min(4u * i + 2u, params.last));
    let d = source(min(4u * i + 3u, params.last));
    let v = {{ typed.joined(kind, typed.at(kind, "x", "a"), typed.at(kind, "x", "b"), typed.at(kind, "x", "c"), typed.at(kind, "x", "d")) }};
    return {{ typed.stored(kind, "v") }};
//% endif
}
