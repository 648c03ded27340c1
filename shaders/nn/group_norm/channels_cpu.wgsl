// First step of group norm on software renderers: mean and spread of each channel over runs of
// pixels, one channel word and one run an invocation, no barrier.
//
// Memory: x is one source, (images, pixels, units) of words W of the storage scalar, a word being
// {{ width }} channel(s); partials is (images, runs, channels) of (mean, spread), where `channels`
// counts those of both sources and this source's begin at `first`.
// Limits: 2^32 words.
//% if scalar == "f16"
enable f16;
//% endif

alias S = {{ scalar }};
//% if width == 4
alias W = vec4<S>;
alias F = vec4<f32>;
//% else
alias W = S;
alias F = f32;
//% endif
alias M = F;

// run: pixels of a run.
struct Params {
    images: u32,
    pixels: u32,
    units: u32,
    channels: u32,
    first: u32,
    runs: u32,
    run: u32,
}

@group(0) @binding(0) var<storage, read> x: array<W>;
@group(0) @binding(1) var<storage, read_write> partials: array<vec2<f32>>;
@group(0) @binding(2) var<uniform> params: Params;

//% include "nn/group_norm/moments.wgsl"

// Moments of one run of a word's channels, measured from `shift` (a value of the run): numbers near
// each other lose nothing by the subtraction, and the means of many runs do not gather rounding.
fn store(image: u32, run: u32, unit: u32, shift: F, m: Moments) {
    let mean = shift + m.mean;
    let at = (image * params.runs + run) * params.channels + params.first + unit * {{ width }}u;
//% if width == 4
    partials[at] = vec2<f32>(mean.x, m.spread.x);
    partials[at + 1u] = vec2<f32>(mean.y, m.spread.y);
    partials[at + 2u] = vec2<f32>(mean.z, m.spread.z);
    partials[at + 3u] = vec2<f32>(mean.w, m.spread.w);
//% else
    partials[at] = vec2<f32>(mean, m.spread);
//% endif
}

@compute @workgroup_size(16)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let index = id.x + id.y * (65535u * 16u);
    let unit = index % params.units;
    let run = index / params.units % params.runs;
    let image = index / params.units / params.runs;
    if (image >= params.images) { return; }
    let begin = run * params.run;
    let length = min(params.run, params.pixels - begin);
    var at = (image * params.pixels + begin) * params.units + unit;
    let shift = F(x[at]);
    var m = Moments(0.0, F(), F());
    for (var p = 1u; p <= length; p++) {
        m = with_value(m, f32(p), F(x[at]) - shift);
        at += params.units;
    }
    store(image, run, unit, shift, m);
}
