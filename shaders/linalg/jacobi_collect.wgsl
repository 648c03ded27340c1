// Rows in the order of their values, one row a workgroup: a row's place is the number of those before it.
// Norms are sorted with the largest first, and their rows divided by them (normalised); other values with
// the smallest first.
//
// Memory: values (batch, n), peaks (batch); x (batch, rows, pitch), of which columns `first` to first + n go
// to rows_out, and the first n, divided by their norm, to left; sorted (batch, n), rows_out, left (batch, n, n).
// Limits: f32, finite.
//% include "linalg/jacobi_rotation.wgsl"

struct Params { n: u32, rows: u32, pitch: u32, first: u32, batch: u32 }

@group(0) @binding(0) var<storage, read> values: array<f32>;
@group(0) @binding(1) var<storage, read> peaks: array<u32>;
@group(0) @binding(2) var<storage, read_write> sorted: array<f32>;
//% if vectors
@group(0) @binding(3) var<storage, read> x: array<f32>;
@group(0) @binding(4) var<storage, read_write> rows_out: array<f32>;
//% if normalised
@group(0) @binding(5) var<storage, read_write> left: array<f32>;
@group(0) @binding(6) var<uniform> params: Params;
//% else
@group(0) @binding(5) var<uniform> params: Params;
//% endif
//% else
@group(0) @binding(3) var<uniform> params: Params;
//% endif

const THREADS = 64u;

var<workgroup> counts: array<u32, THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let index = group.x + group.y * 65535u;
    if (index >= params.n * params.batch) { return; }
    let n = params.n;
    let i = index % n;
    let z = index / n;
    let own = values[index];
    var count = 0u;
    for (var j = t; j < n; j += THREADS) {
        let other = values[z * n + j];
//% if normalised
        let before = other > own;
//% else
        let before = other < own;
//% endif
        count += select(0u, 1u, before || (other == own && j < i));
    }
    counts[t] = count;
    for (var step = THREADS / 2u; step > 0u; step /= 2u) {
        workgroupBarrier();
        if (t < step) { counts[t] += counts[t + step]; }
    }
    workgroupBarrier();
    let rank = counts[0];
    if (t == 0u) { sorted[z * n + rank] = own * powers_of(peaks[z]).x; }
//% if vectors
    let from_row = (z * params.rows + i) * params.pitch;
    let to = (z * n + rank) * n;
    for (var j = t; j < n; j += THREADS) {
        rows_out[to + j] = x[from_row + params.first + j];
//% if normalised
        left[to + j] = x[from_row + j] / max(own, 1e-37);
//% endif
    }
//% endif
}
