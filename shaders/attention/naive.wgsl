// Attention, the readable truth: one query row of one head an invocation.
//
// One pass over the keys with a running maximum (Milakov and Gimelshein 2018, arXiv 1805.02867): when a
// larger score comes, the total and the result so far shrink by exp(old maximum - new maximum), so that
// no exponent is ever above zero. f32 inside.
//
// Memory: q (B, SQ, H, D), k and v (B, SK, H, D), y like q; scalars of type S. `open` is 0 for causal
// attention (row i sees keys 0..i) and all ones otherwise. Limits: none; each key is loaded by every row.
//% if scalar == "f16"
enable f16;
//% endif

alias S = {{ scalar }};

struct Params { rows: u32, sq: u32, sk: u32, heads: u32, open: u32, scale: f32 }

@group(0) @binding(0) var<storage, read> q: array<S>;
@group(0) @binding(1) var<storage, read> k: array<S>;
@group(0) @binding(2) var<storage, read> v: array<S>;
@group(0) @binding(3) var<storage, read_write> y: array<S>;
@group(0) @binding(4) var<uniform> params: Params;

const D = {{ head }}u;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let index = id.x + id.y * (65535u * 64u);
    if (index >= params.rows) { return; }
    let head = index % params.heads;
    let token = index / params.heads;
    let row = token % params.sq;
    let batch = token / params.sq;

    var sum: array<f32, D>;
    var total = 0.0;
    var high = -3.0e38;
    let end = min(params.sk, (row | params.open) + u32(params.open == 0u));
    for (var j = 0u; j < end; j++) {
        let at = ((batch * params.sk + j) * params.heads + head) * D;
        var score = 0.0;
        for (var c = 0u; c < D; c++) {
            score = fma(f32(q[index * D + c]), f32(k[at + c]), score);
        }
        score *= params.scale;
        let top = max(high, score);
        let shrink = exp(high - top);
        let p = exp(score - top);
        high = top;
        total = fma(total, shrink, p);
        for (var c = 0u; c < D; c++) {
            sum[c] = fma(sum[c], shrink, p * f32(v[at + c]));
        }
    }
    for (var c = 0u; c < D; c++) {
        y[index * D + c] = S(sum[c] / total);
    }
}
