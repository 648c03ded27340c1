// One row an invocation, no barrier: the readable truth, and the version for software renderers,
// where rows are the lanes of a vector.
//% include "nn/softmax/rows.wgsl"

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let row = id.x + id.y * (65535u * 64u);
    if (row >= params.rows) { return; }
    let first = row * params.units;
    var high = F(x[first]);
    for (var u = 1u; u < params.units; u++) {
        high = max(high, F(x[first + u]));
    }
    let top = F(largest(high));
    var sum = F();
    for (var u = 0u; u < params.units; u++) {
        sum += exp(F(x[first + u]) - top);
    }
    let scale = 1.0 / total(sum);
    for (var u = 0u; u < params.units; u++) {
        y[first + u] = W(exp(F(x[first + u]) - top) * scale);
    }
}
