// The middle of a block reflector's product (I - V op(T) V^T) C: op(T) times the sum of the parts of
// V^T C. 64 columns a workgroup, whose sums wait in workgroup memory.
//
// Memory: parts (batch, splits, width, n), t (batch, panels, 32, 32), y (batch, width, n). Workgroup
// memory: 12 KiB.
// Limits: f32; width of 1 to 32.
struct Params { width: u32, n: u32, splits: u32, batch: u32, panel: u32, panels: u32, transposed: u32 }

@group(0) @binding(0) var<storage, read> parts: array<f32>;
@group(0) @binding(1) var<storage, read> t: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

const SIDE = 32u;
const COLUMNS = 64u;
const THREADS = 256u;

var<workgroup> sums: array<f32, SIDE * COLUMNS>;
var<workgroup> op: array<f32, SIDE * SIDE>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let blocks = (params.n + COLUMNS - 1u) / COLUMNS;
    let index = group.x + group.y * 65535u;
    if (index >= blocks * params.batch) { return; }
    let z = index / blocks;
    let column = index % blocks * COLUMNS + thread % COLUMNS;
    let plane = params.width * params.n;
    let t0 = (z * params.panels + params.panel) * SIDE * SIDE;
    for (var e = thread; e < SIDE * SIDE; e += THREADS) {
        let turned = e % SIDE * SIDE + e / SIDE;
        op[e] = t[t0 + select(e, turned, params.transposed != 0u)];
    }
    for (var e = thread; e < SIDE * COLUMNS; e += THREADS) {
        let k = e / COLUMNS;
        var sum = 0.0;
        if (k < params.width && column < params.n) {
            let first = z * params.splits * plane + k * params.n + column;
            for (var s = 0u; s < params.splits; s++) { sum += parts[first + s * plane]; }
        }
        sums[e] = sum;
    }
    workgroupBarrier();
    for (var k = thread / COLUMNS; k < params.width; k += THREADS / COLUMNS) {
        var sum = 0.0;
        for (var l = 0u; l < params.width; l++) {
            sum += op[k * SIDE + l] * sums[l * COLUMNS + thread % COLUMNS];
        }
        if (column < params.n) { y[z * plane + k * params.n + column] = sum; }
    }
}
