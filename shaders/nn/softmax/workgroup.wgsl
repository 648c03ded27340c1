// For any GPU: 64 lanes a row, 2 rows a workgroup. The lanes of a row read neighbouring words and
// agree on maximum and sum in a tree in workgroup memory. The second and third look at x come from
// cache. Workgroup memory: 512 bytes.
//% include "nn/softmax/rows.wgsl"

const LANES = 64u;
const ROWS = 2u;

var<workgroup> values: array<f32, LANES * ROWS>;

//% for name, combined in (("sum", "values[t] + values[t + step]"), ("max", "max(values[t], values[t + step])"))
fn row_{{ name }}(value: f32, t: u32, lane: u32) -> f32 {
    workgroupBarrier();
    values[t] = value;
    for (var step = LANES / 2u; step > 0u; step /= 2u) {
        workgroupBarrier();
        if (lane < step) { values[t] = {{ combined }}; }
    }
    workgroupBarrier();
    return values[t - lane];
}

//% endfor
@compute @workgroup_size(LANES * ROWS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let lane = t % LANES;
    let row = (group.x + group.y * 65535u) * ROWS + t / LANES;
    // Lanes of rows past the end take part in the barriers, lanes past a row's end repeat its last word.
    let first = min(row, params.rows - 1u) * params.units;
    var high = F(x[first + min(lane, params.units - 1u)]);
    for (var u = lane + LANES; u < params.units; u += LANES) {
        high = max(high, F(x[first + u]));
    }
    let top = F(row_max(largest(high), t, lane));
    var sum = F();
    for (var u = lane; u < params.units; u += LANES) {
        sum += exp(F(x[first + u]) - top);
    }
    let scale = 1.0 / row_sum(total(sum), t, lane);
    if (row >= params.rows) { return; }
    for (var u = lane; u < params.units; u += LANES) {
        y[first + u] = W(exp(F(x[first + u]) - top) * scale);
    }
}
