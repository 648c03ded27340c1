// Counts the singular values above `cond` of the largest, which is the rank, and divides rows of x by them;
// other rows become zero.
//
// Memory: s (batch, k) descending, x and y (batch, k, columns), rank (batch); one workgroup a matrix.
// Limits: f32.
struct Params { k: u32, columns: u32, batch: u32, cond: f32 }

@group(0) @binding(0) var<storage, read> s: array<f32>;
@group(0) @binding(1) var<storage, read_write> rank: array<i32>;
//% if divide
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
//% endif
@group(0) @binding(4) var<uniform> params: Params;

const THREADS = 64u;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let z = group.x + group.y * 65535u;
    if (z >= params.batch) { return; }
    let s0 = z * params.k;
    let least = params.cond * s[s0];
    if (t == 0u) {
        var kept = 0;
        while (u32(kept) < params.k && s[s0 + u32(kept)] > least) { kept++; }
        rank[z] = kept;
    }
//% if divide
    for (var e = t; e < params.k * params.columns; e += THREADS) {
        let value = s[s0 + e / params.columns];
        let at = s0 * params.columns + e;
        y[at] = 0.0;
        if (value > least) { y[at] = x[at] / value; }
    }
//% endif
}
