// The sort keys of rows, one row a workgroup: their norms over the first n columns, or their diagonal
// elements.
//
// Memory: x (batch, rows, pitch); y (batch, n), of the first n rows.
// Limits: f32.
struct Params { n: u32, rows: u32, pitch: u32, batch: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

const THREADS = 64u;

var<workgroup> sums: array<f32, THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let index = group.x + group.y * 65535u;
    if (index >= params.n * params.batch) { return; }
    let i = index % params.n;
    let first = (index / params.n * params.rows + i) * params.pitch;
//% if norms
    var sum = 0.0;
    for (var j = t; j < params.n; j += THREADS) { sum += x[first + j] * x[first + j]; }
    sums[t] = sum;
    for (var step = THREADS / 2u; step > 0u; step /= 2u) {
        workgroupBarrier();
        if (t < step) { sums[t] += sums[t + step]; }
    }
    if (t == 0u) { y[index] = sqrt(sums[0]); }
//% else
    if (t == 0u) { y[index] = x[first + i]; }
//% endif
}
