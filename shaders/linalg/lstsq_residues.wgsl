// Squared norms of the columns of matrices, one workgroup for 16 columns: 16 lanes a column.
//
// Memory: x (batch, rows, columns), y (batch, columns). Workgroup memory: 1 KiB.
// Limits: f32.
struct Params { rows: u32, columns: u32, batch: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

const SIDE = 16u;

var<workgroup> sums: array<f32, SIDE * SIDE>;

@compute @workgroup_size(SIDE * SIDE)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let blocks = (params.columns + SIDE - 1u) / SIDE;
    let index = group.x + group.y * 65535u;
    if (index >= blocks * params.batch) { return; }
    let z = index / blocks;
    let column = index % blocks * SIDE + t % SIDE;
    var sum = 0.0;
    if (column < params.columns) {
        for (var i = t / SIDE; i < params.rows; i += SIDE) {
            let value = x[(z * params.rows + i) * params.columns + column];
            sum += value * value;
        }
    }
    sums[t] = sum;
    for (var step = SIDE * SIDE / 2u; step >= SIDE; step /= 2u) {
        workgroupBarrier();
        if (t < step) { sums[t] += sums[t + step]; }
    }
    if (t < SIDE && column < params.columns) { y[z * params.columns + column] = sums[t]; }
}
