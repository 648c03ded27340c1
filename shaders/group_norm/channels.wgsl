// For any GPU: 16 channel words by 16 pixel lanes a workgroup. Each lane takes every 16th pixel of
// the run; the lanes' moments are then merged in a tree in workgroup memory.
// Workgroup memory: 9 KiB.
//% include "group_norm/source.wgsl"

const UNITS = 16u;
const LANES = 16u;

var<workgroup> counts: array<f32, UNITS * LANES>;
var<workgroup> means: array<F, UNITS * LANES>;
var<workgroup> spreads: array<F, UNITS * LANES>;

@compute @workgroup_size(UNITS, LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let unit = group.y * UNITS + local.x;
    let lane = local.y;
    let begin = group.x * params.run;
    let length = min(params.run, params.pixels - begin);
    var m = Moments(0.0, F(), F());
    var shift = F();
    if (unit < params.units) {
        let first = (group.z * params.pixels + begin) * params.units + unit;
        shift = F(x[first]);
        for (var p = lane; p < length; p += LANES) {
            m = with_value(m, m.count + 1.0, F(x[first + p * params.units]) - shift);
        }
    }
    counts[t] = m.count;
    means[t] = m.mean;
    spreads[t] = m.spread;
    for (var step = LANES / 2u; step > 0u; step /= 2u) {
        workgroupBarrier();
        if (lane < step) {
            let o = t + step * UNITS;
            m = merged(m, Moments(counts[o], means[o], spreads[o]));
            counts[t] = m.count;
            means[t] = m.mean;
            spreads[t] = m.spread;
        }
    }
    if (lane == 0u && unit < params.units) {
        store(group.z, group.x, unit, shift, m);
    }
}
