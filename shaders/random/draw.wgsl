// Random numbers, four a counter: word i of the result comes from counter (i, attempt, draw, stream)
// and the seed. Kinds: `words` u32, `uniform` in [0, 1) by 24 bits, `exponential`, and
//% if affine
// `integers` from low on, below low + range, by products and rejection (Lemire 2019), so unbiased.{{ "\n// Then scale and shift, in f32: an engine may round once or twice." }}
//% else
// `integers` from low on, below low + range, by products and rejection (Lemire 2019), so unbiased.
//% endif
//
// Memory: the result in words of four (arrays/words.wgsl).
//% import "arrays/words.wgsl" as typed
{{ typed.head([kind]) }}
//% include "arrays/combination/each.wgsl"
//% include "random/philox.wgsl"
//% if draw == "exponential"
//% include "random/exponential.wgsl"
//% endif

struct Params {
    count: u32,
    draw: u32,
    stream: u32,
    low: u32,
    range: u32,
    threshold: u32,
    seed: vec2<u32>,
    shift: f32,
    scale: f32,
}

@group(0) @binding(0) var<storage, read_write> y: array<{{ typed.storage[kind] }}>;
@group(0) @binding(1) var<uniform> params: Params;

fn words_of(i: u32, attempt: u32) -> vec4<u32> {
    return philox(vec4<u32>(i, attempt, params.draw, params.stream), params.seed);
}

fn below(range: u32, w: vec4<u32>) -> vec4<u32> {
    let by = vec2<u32>(range);
    return vec4<u32>(high(w.xy, by), high(w.zw, by));
}

fn result(i: u32) -> {{ typed.storage[kind] }} {
    var w = words_of(i, 0u);
//% if draw == "words"
    return w;
//% elif draw == "integers"
    // A range of 0 is all 2^32.
    if (params.range == 0u) {
        let all = params.low + w;
        return {{ typed.stored(kind, "%s(all)" % typed.value[kind]) }};
    }
    for (var k = 1u; any(w * params.range < vec4<u32>(params.threshold)); k++) {
        w = select(w, words_of(i, k), w * params.range < vec4<u32>(params.threshold));
    }
    let v = params.low + below(params.range, w);
    return {{ typed.stored(kind, "%s(v)" % typed.value[kind]) }};
//% else
//% if draw == "uniform"
    let v = vec4<f32>(w >> vec4<u32>(8u)) * 5.9604644775390625e-8;
//% else
    let v = vec4<f32>(exponential_of(w.xy), exponential_of(w.zw));
//% endif
//% if affine
    return params.shift + params.scale * v;
//% else
    return v;
//% endif
//% endif
}
