// Both ends of a pass of a Fourier transform: where its numbers come from and where they go.
//
// Memory: arrays are (outer, extent, inner), and the transform runs over the middle axis. A column is
// one short transform; its elements lie `columns` apart on the axis where the pass reads, and
// `done`, the product of the lengths of the passes before, where it writes (Stockham's order, which
// needs no transposition: Govindaraju et al., SC 2008). Elements past an array's extent are zeros.
// Source {{ source }}: x holds complex numbers, real ones, pairs (two real numbers in a row are one
// complex one), hermitian (the half of a spectrum of real numbers), hermitian_pairs (its entanglement,
// the spectrum of such pairs), or the inner axis is one of frames, cut from a signal and times a
// window: of complex samples (frames), of pairs of real ones (frame_pairs), or, without a window, of
// two frames at once, one as the real part and the next as the imaginary one (blocks). As a target
// these are what lies behind the first `start` numbers of each, a row that begins at `first`.
// Limits: 2^32 elements.

alias c64x1 = vec2<f32>;
//% if joined_source
alias X = vec2<f32>;
//% elif source in ("real", "pairs", "frame_pairs", "blocks")
alias X = f32;
//% else
alias X = c64x1;
//% endif
//% if target in ("real", "pairs", "blocks")
alias Y = f32;
//% elif joined_target
alias Y = vec2<f32>;
//% else
alias Y = c64x1;
//% endif

// columns: of one (outer, inner), that is the transform's length over that of the pass. period: columns
// times inner. extent: of the numbers that a hermitian source stands for, pairs as one. x_count, y_count:
// how many of a row's numbers are read and stored. The signs are -1 where a conjugate is meant; scale_im
// holds that of the result. Frame f begins at sample f hop - start of one of `length`.
struct Params {
    count: u32,
    period: u32,
    inner: u32,
    columns: u32,
    done: u32,
    extent: u32,
    x_extent: u32,
    x_count: u32,
    y_extent: u32,
    y_count: u32,
    x_sign: f32,
    scale: f32,
    scale_im: f32,
//% if framed
    length: i32,
    hop: u32,
    start: i32,
    reach: i32,
    first: i32,
//% endif
}

//% set next = namespace(binding=0)
//% macro binding(access, name, type)
@group(0) @binding({{ next.binding }}) var<storage, {{ access }}> {{ name }}: array<{{ type }}>;
//% set next.binding = next.binding + 1
//% endmacro
{{ binding("read", "x", "X") }}
//% if framed and source != "blocks"
{{ binding("read", "window", "vec2<f32>" if joined_source else "f32") }}
//% endif
//% if load_by
{{ binding("read", "load_by", "c64x1") }}
//% endif
//% if store_by
{{ binding("read", "store_by", "c64x1") }}
//% endif
//% if far
{{ binding("read", "far", "c64x1") }}
//% endif
//% if halves
{{ binding("read", "halves", "c64x1") }}
//% endif
//% if through
{{ binding("read", "through", "c64x1") }}
//% endif
//% if near
{{ binding("read", "near", "c64x1") }}
//% endif
{{ binding("read_write", "y", "Y") }}
@group(0) @binding({{ next.binding }}) var<uniform> params: Params;

//% from "signal/butterflies.wgsl" import butterfly, functions, roots
{{ functions() }}
//% if halves
{{ roots("half_root", "halves", halves) }}
//% endif

// A column: the arrays' starts, its place among the columns of its axis, its place on the inner axes.
struct Column { outer: u32, j: u32, inner: u32 }

fn column_of(index: u32) -> Column {
//% if single
    let outer = index / {{ columns }}u;
    return Column(outer, index - outer * {{ columns }}u, 0u);
//% else
    let outer = index / params.period;
    let rest = index - outer * params.period;
    let j = rest / params.inner;
    return Column(outer, j, rest - j * params.inner);
//% endif
}

//% if source in ("hermitian", "hermitian_pairs")
fn spectrum(at: Column, k: u32) -> vec2<f32> {
//% if cropped_source
    if (k >= params.x_count) { return vec2<f32>(); }
//% endif
    let v = x[(at.outer * params.x_extent + k) * params.inner + at.inner];
    return vec2<f32>(v.x, v.y * params.x_sign);
}
//% endif

//% if source == "hermitian"
fn number(at: Column, k: u32) -> vec2<f32> {
    if (2u * k > params.extent) { return spectrum(at, params.extent - k); }
    let v = spectrum(at, k);
    return vec2<f32>(v.x, -v.y);
}
//% elif source == "hermitian_pairs"
fn number(at: Column, k: u32) -> vec2<f32> {
//% if load_by
    // Bluestein's sequence is longer than the table of roots.
    if (k >= params.extent) { return vec2<f32>(); }
//% endif
    var a = spectrum(at, k);
    var b = spectrum(at, params.extent - k);
    if (k == 0u) {
        a.y = 0.0;
        b.y = 0.0;
    }
    b.y = -b.y;
    let root = half_root(k);
    let v = a + b - turned(times(a - b, vec2<f32>(root.x, -root.y)));
    return vec2<f32>(v.x, -v.y);
}
//% elif source == "pairs"
fn number(at: Column, k: u32) -> vec2<f32> {
    let first = (at.outer * params.x_extent + 2u * k) * params.inner + at.inner;
    var v = vec2<f32>();
    if (2u * k < params.x_count) { v.x = x[first]; }
    if (2u * k + 1u < params.x_count) { v.y = x[first + params.inner]; }
    return v;
}
//% elif source == "blocks"
fn sample(outer: u32, p: i32) -> f32 {
    if (p < 0 || p >= params.length) { return 0.0; }
    return x[outer * u32(params.length) + u32(p)];
}

fn number(at: Column, k: u32) -> vec2<f32> {
    let p = i32(2u * at.inner * params.hop + k) - params.start;
    return vec2<f32>(sample(at.outer, p), sample(at.outer, p + i32(params.hop)));
}
//% elif joined_source and framed
fn number(at: Column, k: u32) -> vec2<f32> {
    if (2u * k >= params.x_count) { return vec2<f32>(); }
    let p = i32(at.inner * params.hop + 2u * k) - params.start;
    if (p < 0 || p >= params.length) { return vec2<f32>(); }
    return window[k] * x[(at.outer * u32(params.length) + u32(p)) / 2u];
}
//% elif framed
alias W = X;

fn sample(outer: u32, p: i32, inner: u32) -> W { return x[outer * u32(params.length) + u32(p)]; }

//% include "signal/extended.wgsl"

fn framed(at: Column, i: u32) -> W {
    if (i >= params.x_count) { return W(); }
    return window[i] * extended(at.outer, i32(at.inner * params.hop + i) - params.start, 0u);
}

fn number(at: Column, k: u32) -> vec2<f32> {
//% if source == "frames"
    return framed(at, k);
//% else
    return vec2<f32>(framed(at, 2u * k), framed(at, 2u * k + 1u));
//% endif
}
//% else
fn number(at: Column, k: u32) -> vec2<f32> {
//% if cropped_source
    if (k >= params.x_count) { return vec2<f32>(); }
//% endif
    return number_at((at.outer * params.x_extent + k) * params.inner + at.inner);
}

fn number_at(index: u32) -> vec2<f32> {
    let v = x[index];
//% if source == "real"
    return vec2<f32>(v, 0.0);
//% else
    return vec2<f32>(v.x, v.y * params.x_sign);
//% endif
}
//% endif

fn loaded(at: Column, k: u32) -> vec2<f32> {
//% if load_by
    return times(number(at, k), load_by[k]);
//% else
    return number(at, k);
//% endif
}

//% if target == "blocks"
fn put(outer: u32, p: i32, v: f32) {
    if (p >= 0 && p < i32(params.y_extent)) { y[outer * params.y_extent + u32(p)] = v; }
}

//% endif
fn store(at: Column, k: u32, value: vec2<f32>) {
//% if cropped_target
    if (k >= params.y_count) { return; }
//% endif
//% if store_by
    let v = times(value, store_by[k]) * vec2<f32>(params.scale, params.scale_im);
//% else
    let v = value * vec2<f32>(params.scale, params.scale_im);
//% endif
//% if target == "pairs"
    let first = (at.outer * params.y_extent + 2u * k) * params.inner + at.inner;
    y[first] = v.x;
    y[first + params.inner] = v.y;
//% elif target == "blocks"
    if (k < u32(params.start)) { return; }
    let p = i32(2u * at.inner * params.hop + k) - params.start - params.first;
    put(at.outer, p, v.x);
    put(at.outer, p + i32(params.hop), v.y);
//% else
//% if rows_target
    store_at((at.outer * params.inner + at.inner) * params.y_extent + k, v);
//% else
    store_at((at.outer * params.y_extent + k) * params.inner + at.inner, v);
//% endif
//% endif
}
//% if target not in ("pairs", "blocks")

//% if target == "real"
fn store_at(index: u32, v: vec2<f32>) { y[index] = v.x; }
//% else
fn store_at(index: u32, v: vec2<f32>) { y[index] = v; }
//% endif
//% endif
