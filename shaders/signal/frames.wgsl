//% if window
// Frames of a signal, each times a window: an element of frame f at i is that of the signal at f hop +
//% else
// Frames of a signal, as they lie: an element of frame f at i is that of the signal at f hop +
//% endif
// i - start. Up to `reach` before and behind the signal it goes on as its boundary says, then come zeros.
//% if frames_last
// Memory: x is (outer, length, inner), y is (outer, size, inner, frames).
//% else
// Memory: x is (outer, length, inner), y is (outer, frames, size, inner).
//% endif
// Limits: 2^31 elements.
//% include "arrays/combination/each.wgsl"

alias c64x1 = vec2<f32>;
alias W = {{ scalar }};

struct Params {
    count: u32,
    inner: u32,
    length: i32,
    size: u32,
    frames: u32,
    hop: u32,
    start: i32,
    reach: i32,
}

@group(0) @binding(0) var<storage, read> x: array<W>;
//% if window
@group(0) @binding(1) var<storage, read> window: array<f32>;
//% endif
//% if window
@group(0) @binding(2) var<storage, read_write> y: array<W>;
@group(0) @binding(3) var<uniform> params: Params;
//% else
@group(0) @binding(1) var<storage, read_write> y: array<W>;
@group(0) @binding(2) var<uniform> params: Params;
//% endif

fn sample(outer: u32, p: i32, inner: u32) -> W {
    return x[(outer * u32(params.length) + u32(p)) * params.inner + inner];
}

//% include "signal/extended.wgsl"

fn result(index: u32) -> W {
//% if frames_last
    var rest = index / params.frames;
    let frame = index - rest * params.frames;
    let inner = rest % params.inner;
    rest /= params.inner;
    let i = rest % params.size;
    let outer = rest / params.size;
//% else
    var rest = index / params.inner;
    let inner = index - rest * params.inner;
    let i = rest % params.size;
    rest /= params.size;
    let frame = rest % params.frames;
    let outer = rest / params.frames;
//% endif
    let v = extended(outer, i32(frame * params.hop + i) - params.start, inner);
//% if window
    return window[i] * v;
//% else
    return v;
//% endif
}
