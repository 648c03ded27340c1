// For any GPU: the lanes of a row add their sums up in a tree in workgroup memory.
// Workgroup memory: {{ 16 * lanes }} bytes.
//% include "nn/layer_norm/lanes.wgsl"

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
