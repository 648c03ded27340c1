// {{ kind }}: what is done to an element depends on its channel.
//
// An invocation takes {{ words }} word(s), each `step` behind the other. The step is a multiple of a pixel's
// words: the channels stay, their parameters are read once.
// Memory: x and y are (count / units, units) words of {{ width }} element(s), parameters f32 (units).
// Limits: those of arrays/combination/flat.wgsl.
//% include "arrays/combination/flat.wgsl"

struct Params { count: u32, units: u32, step: u32, eps: f32 }

//% set batch = kind.startswith("batch_norm")
//% set single = kind == "prelu_single"
@group(0) @binding(0) var<storage, read> x: array<W>;
//% if batch
@group(0) @binding(1) var<storage, read> mean: array<F>;
@group(0) @binding(2) var<storage, read> variance: array<F>;
//% endif
//% if not batch or "weight" in kind
//% if single
@group(0) @binding(3) var<storage, read> weight: array<f32>;
//% else
@group(0) @binding(3) var<storage, read> weight: array<F>;
//% endif
//% endif
//% if "bias" in kind
@group(0) @binding(4) var<storage, read> bias: array<F>;
//% endif
@group(0) @binding(5) var<storage, read_write> y: array<W>;
@group(0) @binding(6) var<uniform> params: Params;
//% if not batch

// By the sign bit: a comparison may become a maximum, which drops NaN.
fn leaky(v: f32, slope: f32) -> f32 {
    return select(v, v * slope, (bitcast<u32>(v) & 0x80000000u) != 0u);
}
//% endif

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let index = word_of(id);
    if (index >= params.step) { return; }
    let c = index % params.units;
//% for k in range(words)
//% if k
    let i{{ k }} = index + {{ k }}u * params.step;
//% else
    let i{{ k }} = index;
//% endif
    let v{{ k }} = F(x[min(i{{ k }}, params.count - 1u)]);
//% endfor
//% if batch
    let m = mean[c];
//% if "weight" in kind
    let scale = weight[c] / sqrt(variance[c] + params.eps);
//% else
    let scale = F(1.0) / sqrt(variance[c] + params.eps);
//% endif
//% if "bias" in kind
    let b = bias[c];
//% endif
//% else
//% if single
    let slope = F(weight[0]);
//% else
    let slope = weight[c];
//% endif
//% endif
//% for k in range(words)
//% if batch
//% if "bias" in kind
    let r{{ k }} = (v{{ k }} - m) * scale + b;
//% else
    let r{{ k }} = (v{{ k }} - m) * scale;
//% endif
//% elif width == 1
    let r{{ k }} = leaky(v{{ k }}, slope);
//% else
    let r{{ k }} = F(
        leaky(v{{ k }}.x, slope.x), leaky(v{{ k }}.y, slope.y), leaky(v{{ k }}.z, slope.z), leaky(v{{ k }}.w, slope.w),
    );
//% endif
    if (i{{ k }} < params.count) { y[i{{ k }}] = W(r{{ k }}); }
//% endfor
}
