//% if closed
// Numbers at equal steps: start + index step, the last one being `stop`. A step of 0 fills with one number.
//% else
// Numbers at equal steps: start + index step. A step of 0 fills with one number.
//% endif
//
// Memory: the result in words of four (arrays/words.wgsl); floats are computed in f32.
//% import "arrays/words.wgsl" as typed
{{ typed.head([kind]) }}
//% include "arrays/combination/each.wgsl"

struct Params {
    count: u32,
    last: u32,
    start: {{ typed.element[kind] }},
    step: {{ typed.element[kind] }},
    stop: {{ typed.element[kind] }},
}

@group(0) @binding(0) var<storage, read_write> y: array<{{ typed.storage[kind] }}>;
@group(0) @binding(1) var<uniform> params: Params;

fn number(index: u32) -> {{ typed.element[kind] }} {
//% if kind == "c64"
    return params.start;
//% else
    let v = params.start + {{ typed.element[kind] }}(index) * params.step;
//% if closed
    return select(v, params.stop, index == params.last);
//% else
    return v;
//% endif
//% endif
}

fn result(i: u32) -> {{ typed.storage[kind] }} {
    let e = 4u * i;
    let v = {{ typed.joined(kind, "number(e)", "number(e + 1u)", "number(e + 2u)", "number(e + 3u)") }};
    return {{ typed.stored(kind, "v") }};
}
