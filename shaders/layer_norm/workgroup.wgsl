// For any GPU: 32 lanes a row, 4 rows a workgroup. The lanes of a row read neighbouring words and
// add their sums up in a tree in workgroup memory. The second and third look at x come from cache.
// Workgroup memory: 512 bytes.
//% include "layer_norm/rows.wgsl"

const LANES = 32u;
const ROWS = 4u;

var<workgroup> sums: array<f32, LANES * ROWS>;

// Sum over the lanes of a row.
fn row_sum(value: f32, t: u32, lane: u32) -> f32 {
    workgroupBarrier();
    sums[t] = value;
    for (var step = LANES / 2u; step > 0u; step /= 2u) {
        workgroupBarrier();
        if (lane < step) {
            sums[t] += sums[t + step];
        }
    }
    workgroupBarrier();
    return sums[t - lane];
}

@compute @workgroup_size(LANES * ROWS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let lane = t % LANES;
    let row = (group.x + group.y * 65535u) * ROWS + t / LANES;
    // Lanes of rows past the end take part in the barriers.
    let first = min(row, params.rows - 1u) * params.units;
    var sum = F();
    for (var u = lane; u < params.units; u += LANES) {
        sum += F(x[first + u]);
    }
    let near = row_sum(total(sum), t, lane) / row_size();
    var rest = F();
    var squares = F();
    for (var u = lane; u < params.units; u += LANES) {
        let d = F(x[first + u]) - near;
        rest += d;
        squares += d * d;
    }
    let more = row_sum(total(rest), t, lane) / row_size();
    let mean = near + more;
    let variance = row_sum(total(squares), t, lane) / row_size() - more * more;
    let scale = 1.0 / sqrt(max(variance, 0.0) + params.eps);
    if (row >= params.rows) { return; }
    for (var u = lane; u < params.units; u += LANES) {
        y[first + u] = W((F(x[first + u]) - mean) * scale * gamma[u] + beta[u]);
    }
}
