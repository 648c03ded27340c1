// One row an invocation, no barrier: the readable truth, and the version for software renderers,
// where rows are the lanes of a vector.
//% include "nn/layer_norm/rows.wgsl"

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let row = id.x + id.y * (65535u * 64u);
    if (row >= params.rows) { return; }
    let first = row * params.units;
    var sum = F();
    for (var u = 0u; u < params.units; u++) {
        sum += F(x[first + u]);
    }
    let near = total(sum) / row_size();
    var rest = F();
    var squares = F();
    for (var u = 0u; u < params.units; u++) {
        let d = F(x[first + u]) - near;
        rest += d;
        squares += d * d;
    }
    let more = total(rest) / row_size();
    let mean = near + more;
    let variance = max(total(squares) / row_size() - more * more, 0.0);
    let scale = 1.0 / sqrt(variance + params.eps);
    for (var u = 0u; u < params.units; u++) {
        y[first + u] = W((F(x[first + u]) - mean) * scale * gamma[u] + beta[u]);
    }
}
