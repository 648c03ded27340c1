// Joins {{ parts }} arrays of any dtype, element by element: the arrays are (rows, inner), each with an extent
// of its own, and a row of the result has a row of each behind one another.
//
// Memory: the result in words of four (arrays/words.wgsl); `end` is where a part's elements end.
//% import "arrays/words.wgsl" as typed
{{ typed.head([kind]) }}
//% include "arrays/combination/each.wgsl"

struct Params {
    count: u32,
    last: u32,
//% for k in range(parts)
    end{{ k }}: u32,
//% endfor
}

//% for k in range(parts)
@group(0) @binding({{ k }}) var<storage, read> x{{ k }}: array<{{ typed.storage[kind] }}>;
//% endfor
@group(0) @binding({{ parts }}) var<storage, read_write> y: array<{{ typed.storage[kind] }}>;
@group(0) @binding({{ parts + 1 }}) var<uniform> params: Params;

fn taken(e: u32) -> {{ typed.element[kind] }} {
    let row = e / params.end{{ parts - 1 }};
    let c = e % params.end{{ parts - 1 }};
//% for k in range(parts)
//% set begin = "params.end%d" % (k - 1) if k else "0u"
//% if k + 1 < parts
    if (c < params.end{{ k }}) {
        let p = row * (params.end{{ k }} - {{ begin }}) + c - {{ begin }};
        return {{ typed.at(kind, "x%d" % k, "p") }};
    }
//% else
    let p = row * (params.end{{ k }} - {{ begin }}) + c - {{ begin }};
    return {{ typed.at(kind, "x%d" % k, "p") }};
//% endif
//% endfor
}

fn result(i: u32) -> {{ typed.storage[kind] }} {
    let e = 4u * i;
    let v = {{ typed.joined(kind, "taken(e)", "taken(min(e + 1u, params.last))", "taken(min(e + 2u, params.last))", "taken(min(e + 3u, params.last))") }};
    return {{ typed.stored(kind, "v") }};
}
