// Last step of group norm: y = (x - mean) * factor * gamma + beta, then SiLU if asked for. One
// invocation a word of the result.
//
// Memory: y is (images, pixels, units) of words of {{ width }} channel(s); x has the first `units1`
// units of a pixel, x2 the others; statistics is (images, groups) of (mean, factor); gamma and beta
// are (channels) of f32. A word lies in one group if `size`, a group's channels, is a multiple of
// the word, else its channels look up their groups one by one.
// Limits: 2^32 - 1 words.
//% include "elementwise/flat.wgsl"
//% if silu
//% include "activation/activations.wgsl"
//% endif

struct Params {
    count: u32,
    pixels: u32,
    units: u32,
    units1: u32,
    groups: u32,
    size: u32,
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

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let index = word_of(id);
    if (index >= params.count) { return; }
    let pixel = index / params.units;
    let u = index % params.units;
    let first = pixel / params.pixels * params.groups;
//% if two
    var v = F();
    if (u < params.units1) {
        v = F(x[pixel * params.units1 + u]);
    } else {
        v = F(x2[pixel * (params.units - params.units1) + u - params.units1]);
    }
//% else
    var v = F(x[index]);
//% endif
//% if width == 4 and not whole
//% for c in range(4)
    let s{{ c }} = statistics[first + (u * 4u + {{ c }}u) / params.size];
//% endfor
    let mean = F(s0.x, s1.x, s2.x, s3.x);
    let factor = F(s0.y, s1.y, s2.y, s3.y);
//% else
    let s = statistics[first + u * {{ width }}u / params.size];
    let mean = s.x;
    let factor = s.y;
//% endif
    v = (v - mean) * factor * gamma[u] + beta[u];
//% if silu and width == 4
    v = F(act_silu(v.x), act_silu(v.y), act_silu(v.z), act_silu(v.w));
//% elif silu
    v = act_silu(v);
//% endif
    y[index] = W(v);
}
