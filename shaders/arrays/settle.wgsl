// Each element of the result is the one of `values` that claimed it (claim.wgsl), else that of x.
//
// Memory: the result in words of four (arrays/words.wgsl).
//% import "arrays/words.wgsl" as typed
{{ typed.head([kind]) }}
//% include "arrays/combination/each.wgsl"

struct Params { count: u32, last: u32 }

@group(0) @binding(0) var<storage, read> x: array<{{ typed.storage[kind] }}>;
@group(0) @binding(1) var<storage, read> values: array<{{ typed.storage[kind] }}>;
@group(0) @binding(2) var<storage, read> claimed: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<{{ typed.storage[kind] }}>;
@group(0) @binding(4) var<uniform> params: Params;

fn settled(index: u32) -> {{ typed.element[kind] }} {
    let e = min(index, params.last);
    let from_values = claimed[e];
    if (from_values > 0u) {
        let p = from_values - 1u;
        return {{ typed.at(kind, "values", "p") }};
    }
    return {{ typed.at(kind, "x", "e") }};
}

fn result(i: u32) -> {{ typed.storage[kind] }} {
    let e = 4u * i;
    let v = {{ typed.joined(kind, "settled(e)", "settled(e + 1u)", "settled(e + 2u)", "settled(e + 3u)") }};
    return {{ typed.stored(kind, "v") }};
}
