// Attention, the readable truth: one query row of one head an invocation.
//
// One pass over the keys with a running maximum (Milakov and Gimelshein 2018, arXiv 1805.02867): when a
// larger score comes, the total and the result so far shrink by 2^(old maximum - new maximum), so that
// no exponent is ever above zero. f32 inside. Limits: none; every row loads every key for itself.
//% include "nn/attention/operands.wgsl"

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let index = id.x + id.y * (65535u * 64u);
    if (index >= params.batch * params.sq * params.heads) { return; }
    let d = params.units;
    let head = index % params.heads;
    let row = index / params.heads % params.sq;
    let batch = index / params.heads / params.sq;
    let own = (batch * params.sq + row) * params.q_pitch + params.q_first + head * d;

    var sum: array<f32, {{ head }}>;
    var total = 0.0;
    var high = MASKED;
    let last = min(params.sk - 1u, row | params.open);
    for (var j = 0u; j <= last; j++) {
        let key = (batch * params.sk + j) * params.k_pitch + params.k_first + head * d;
        let value = (batch * params.sk + j) * params.v_pitch + params.v_first + head * d;
        var score = 0.0;
        for (var c = 0u; c < d; c++) {
            score = fma(f32(q[own + c]), f32(k[key + c]), score);
        }
        score *= params.scale;
        let top = max(high, score);
        let shrink = exp2(high - top);
        let p = exp2(score - top);
        high = top;
        total = fma(total, shrink, p);
        for (var c = 0u; c < d; c++) {
            sum[c] = fma(sum[c], shrink, p * f32(v[value + c]));
        }
    }
    for (var c = 0u; c < d; c++) {
        y[index * d + c] = S(sum[c] / total);
    }
}
