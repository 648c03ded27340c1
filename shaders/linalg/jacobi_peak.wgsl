// The largest element of each matrix, as the bits of its absolute value, and the size below which elements
// do not count: 2^-25 / sqrt(n) of its Frobenius norm once the largest element is 1 to 2, so that all such elements
// together change no eigenvalue by n 2^-25 of the norm. The counts of its sweeps are set to zero. One
// workgroup a matrix.
//
// Memory: a (batch, n, n), of which triangle 1 is the lower, 2 the upper, 0 all; peaks, leasts (batch);
// counts (sweeps, batch).
// Limits: f32, finite.
//% include "linalg/jacobi_rotation.wgsl"

struct Params { n: u32, batch: u32, triangle: u32, sweeps: u32 }

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read_write> peaks: array<u32>;
@group(0) @binding(2) var<storage, read_write> leasts: array<f32>;
@group(0) @binding(3) var<storage, read_write> counts: array<u32>;
@group(0) @binding(4) var<uniform> params: Params;

const THREADS = 256u;

var<workgroup> values: array<f32, THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let z = group.x + group.y * 65535u;
    if (z >= params.batch) { return; }
    let n = params.n;
    var peak = 0.0;
    for (var i = 0u; i < n; i++) {
        let begin = select(0u, i, params.triangle == 2u);
        let end = select(n, i + 1u, params.triangle == 1u);
        for (var j = begin + t; j < end; j += THREADS) {
            peak = max(peak, abs(a[(z * n + i) * n + j]));
        }
    }
    values[t] = peak;
    workgroupBarrier();
    for (var e = 0u; e < THREADS; e++) { peak = max(peak, values[e]); }
    workgroupBarrier();
    let bits = bitcast<u32>(peak);
    let scale = powers_of(bits).y;
    var sum = 0.0;
    for (var i = 0u; i < n; i++) {
        let begin = select(0u, i, params.triangle == 2u);
        let end = select(n, i + 1u, params.triangle == 1u);
        for (var j = begin + t; j < end; j += THREADS) {
            let x = a[(z * n + i) * n + j] * scale;
            sum += x * x * select(1.0, 2.0, params.triangle != 0u && i != j);
        }
    }
    values[t] = sum;
    workgroupBarrier();
    if (t == 0u) {
        for (var e = 1u; e < THREADS; e++) { sum += values[e]; }
        peaks[z] = bits;
        leasts[z] = 0x1p-25 * sqrt(sum / f32(n));
    }
    for (var s = t; s < params.sweeps; s += THREADS) { counts[s * params.batch + z] = 0u; }
}
