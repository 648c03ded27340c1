// Adds to each element of x, (outer, n, inner), the elements of `values`, (outer, m, inner), whose rows
// name its place: `sorted` has the m places in rising order and `order` the rows that they were of,
// so that a place's rows are neighbours, in their order. They are found by bisection and summed in f32
// one after the other, the same way each time.
//
// Memory: the result in words of four (arrays/words.wgsl).
//% import "arrays/words.wgsl" as typed
{{ typed.head([kind]) }}
//% include "arrays/combination/each.wgsl"

struct Params { count: u32, last: u32, n: u32, m: u32, inner: u32 }

@group(0) @binding(0) var<storage, read> x: array<{{ typed.storage[kind] }}>;
@group(0) @binding(1) var<storage, read> values: array<{{ typed.storage[kind] }}>;
@group(0) @binding(2) var<storage, read> sorted: array<i32>;
@group(0) @binding(3) var<storage, read> order: array<i32>;
@group(0) @binding(4) var<storage, read_write> y: array<{{ typed.storage[kind] }}>;
@group(0) @binding(5) var<uniform> params: Params;

fn first_from(place: i32) -> u32 {
    var low = 0u;
    var high = params.m;
    while (low < high) {
        let middle = (low + high) / 2u;
        if (sorted[middle] < place) { low = middle + 1u; } else { high = middle; }
    }
    return low;
}

fn summed(index: u32) -> {{ typed.element[kind] }} {
    let e = min(index, params.last);
    let row = e / params.inner;
    let o = row / params.n;
    let place = i32(row - o * params.n);
    var sum = {{ typed.at(kind, "x", "e") }};
    for (var k = first_from(place); k < params.m; k++) {
        if (sorted[k] != place) { break; }
        let p = (o * params.m + u32(order[k])) * params.inner + e - row * params.inner;
        sum += {{ typed.at(kind, "values", "p") }};
    }
    return sum;
}

fn result(i: u32) -> {{ typed.storage[kind] }} {
    let e = 4u * i;
    let v = {{ typed.joined(kind, "summed(e)", "summed(e + 1u)", "summed(e + 2u)", "summed(e + 3u)") }};
    return {{ typed.stored(kind, "v") }};
}
