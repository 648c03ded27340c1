// Householder QR of a panel of up to 32 columns, one workgroup a matrix: H_1 ... H_w = I - V T V^T
// (compact WY: Schreiber and Van Loan 1989).
//
// A column's dot products with all columns of the panel come from one pass: those to its right update
// them, those to its left are the V^T V that T is made of. Columns are divided by what makes them V's in a
// last pass.
//
// Workgroup memory: 8 * threads + 4224 bytes.
// Limits: f32; 65535 * 65535 matrices; threads a multiple of 32.
//% include "linalg/qr_compact.wgsl"

struct Params {
    rows: u32, columns: u32, pitch: u32, first: u32, width: u32, batch: u32, panel: u32, panels: u32,
}

@group(0) @binding(3) var<uniform> params: Params;
//% if guarded
// Panels that another method has factorised are left alone.
@group(0) @binding(4) var<storage, read> failed: array<u32>;
//% endif

var<workgroup> sums: array<f32, 2u * THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let z = group.x + group.y * 65535u;
    if (z >= params.batch) { return; }
//% if guarded
    if (failed[z] == 0u) { return; }
//% endif
    let k = thread % WIDTH;
    let lane = thread / WIDTH;
    let inside = k < params.width;
    let pitch = params.pitch;
    let a0 = z * params.rows * params.columns + params.first + k;
    let v0 = z * params.rows * pitch + params.first;

    var peak = 0.0;
    if (inside) {
        for (var i = params.first + lane; i < params.rows; i += GROUPS) {
            peak = max(peak, abs(a[a0 + i * params.columns]));
        }
    }
    sums[thread] = peak;
    workgroupBarrier();
    for (var g = 0u; g < GROUPS; g++) { peak = max(peak, sums[g * WIDTH + k]); }
    let powers = powers_of(peak);
    if (inside) {
        for (var i = params.first + lane; i < params.rows; i += GROUPS) {
            v[v0 + i * pitch + k] = a[a0 + i * params.columns] * powers.y;
        }
    }
    storageBarrier();
    workgroupBarrier();

    var own = 0.0;
    for (var j = 0u; j < params.width; j++) {
        let row = params.first + j;
        var sum = 0.0;
        if (inside) {
            for (var i = row + 1u + lane; i < params.rows; i += GROUPS) {
                let at = v0 + i * pitch;
                sum += v[at + j] * v[at + k];
            }
        }
        let turn = (j & 1u) * THREADS;
        sums[turn + thread] = sum;
        workgroupBarrier();
        var tail = 0.0;
        var dot = 0.0;
        for (var g = turn; g < turn + THREADS; g += WIDTH) {
            tail += sums[g + j];
            dot += sums[g + k];
        }
        let h = reflector(v[v0 + row * pitch + j], tail);
        if (k == j) { own = h.inverse; }
        let mine = v[v0 + row * pitch + min(k, params.width - 1u)];
        let weight = h.tau * (mine + h.inverse * dot);
        if (lane == 0u && inside) {
            if (k < j) {
                products[k * WIDTH + j] = own * (mine + h.inverse * dot);
            } else {
                a[a0 + row * params.columns] = select(mine - weight, h.alpha, k == j) * powers.x;
            }
            if (k == j) { taus[j] = h.tau; }
        }
        if (inside && k > j) {
            for (var i = row + 1u + lane; i < params.rows; i += GROUPS) {
                let at = v0 + i * pitch;
                v[at + k] -= weight * h.inverse * v[at + j];
            }
        }
        storageBarrier();
        workgroupBarrier();
    }

    if (inside) {
        for (var i = params.first + lane; i < params.rows; i += GROUPS) {
            let at = v0 + i * pitch + k;
            let j = i - params.first;
            v[at] = select(select(own * v[at], 1.0, j == k), 0.0, j < k);
        }
    }
    if (thread < WIDTH) {
        write_t((z * params.panels + params.panel) * WIDTH * WIDTH, thread, params.width);
    }
}
