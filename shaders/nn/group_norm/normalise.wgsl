// Last step of group norm: y = (x - mean) * factor * gamma + beta, then SiLU if asked for. One
// channel word of a run of pixels an invocation: index arithmetic and look-ups are paid once a run.
//
// Memory: y is (images, pixels, units) of words of {{ width }} channel(s); x has the first `units1`
// units of a pixel, x2 the others; statistics is (images, groups) of (mean, factor); gamma and beta
// are (channels) of f32. A word lies in one group if `size`, a group's channels, is a multiple of
// the word, else its channels look up their groups one by one.
// Limits: 2^32 - 1 words.
//% include "arrays/combination/flat.wgsl"
//% if silu
//% include "nn/activation/activations.wgsl"
//% endif

// run: pixels of an invocation; runs: of them in an image.
struct Params {
    count: u32,
    pixels: u32,
    units: u32,
    units1: u32,
    groups: u32,
    size: u32,
    runs: u32,
    run: u32,
}

@group(0) @binding(0) var<storage, read> x: array<W>;
//% if two
@group(0) @binding(1) var<storage, read> x2: array<W>;
//% endif
@group(0) @binding(2) var<storage, read> statistics: array<vec2<f32>>;
@group(0) @binding(3) var<storage, read> gamma: array<F>;
@group(0) @binding(4) var<storage, read> beta: array<F>;
@group(0) @binding(5) var<storage, read_write> y: array<W>;
@group(0) @binding(6) var<uniform> params: Params;

fn activated(v: F) -> F {
//% if silu and width == 4
    return F(act_silu(v.x), act_silu(v.y), act_silu(v.z), act_silu(v.w));
//% elif silu
    return act_silu(v);
//% else
    return v;
//% endif
}

//% macro pixels(source, units, unit)
    var at = first * {{ units }} + {{ unit }};
    for (var p = 0u; p < length; p++) {
        y[to] = W(activated((F({{ source }}[at]) - mean) * scale + shift));
        at += {{ units }};
        to += params.units;
    }
//% endmacro
@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let index = word_of(id);
    if (index >= params.count) { return; }
    let u = index % params.units;
    let row = index / params.units;
    let image = row / params.runs;
    let begin = row % params.runs * params.run;
    let length = min(params.run, params.pixels - begin);
    let first = image * params.pixels + begin;
    let group = image * params.groups;
//% if width == 4 and not whole
//% for c in range(4)
    let s{{ c }} = statistics[group + (u * 4u + {{ c }}u) / params.size];
//% endfor
    let mean = F(s0.x, s1.x, s2.x, s3.x);
    let scale = F(s0.y, s1.y, s2.y, s3.y) * gamma[u];
//% else
    let s = statistics[group + u * {{ width }}u / params.size];
    let mean = s.x;
    let scale = s.y * gamma[u];
//% endif
    let shift = beta[u];
    var to = first * params.units + u;
//% if two
    if (u < params.units1) {
{{ pixels("x", "params.units1", "u") }}
    } else {
        let units2 = params.units - params.units1;
{{ pixels("x2", "units2", "u - params.units1") }}
    }
//% else
{{ pixels("x", "params.units", "u") }}
//% endif
}
