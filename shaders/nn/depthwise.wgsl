// Convolution of each channel with a window of its own, and the bias: bound by memory.
//% include "arrays/combination/wide.wgsl"
//% set more = "strip: u32,"
//% include "nn/window_params.wgsl"

@group(0) @binding(0) var<storage, read> x: array<W>;
@group(0) @binding(1) var<storage, read> weight: array<W>;
//% if bias
@group(0) @binding(2) var<storage, read> bias: array<F>;
//% endif
@group(0) @binding(3) var<storage, read_write> y: array<W>;
//% if sizes
const params = Params({{ sizes }});
//% else
@group(0) @binding(4) var<uniform> params: Params;
//% endif

alias V = F;

fn widened(word: W) -> V { return part0(word); }

fn start() -> F { return F(); }

fn outside() -> F { return F(); }

fn tap_weight(tap: u32, c: u32) -> F { return part0(weight[tap * params.units + c]); }

fn taken(sum: F, v: F, w: F) -> F { return fma(v, w, sum); }

fn store(sum: F, at: u32, c: u32, oz: u32, oy: u32, ox: u32) {
//% if bias
    y[at * params.units + c] = packed(sum + bias[c]);
//% else
    y[at * params.units + c] = packed(sum);
//% endif
}

//% set weighted = true
//% set mends = false
//% include "nn/window.wgsl"
