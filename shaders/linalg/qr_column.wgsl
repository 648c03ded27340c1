// One column of the Householder QR of a tall panel, by many workgroups: each has a run of rows, and the
// launch of a column begins with the sums that the launch before it left of its parts.
//
// Launch `step` reflects column step - 1 and then multiplies column `step` with all columns of the panel
// (columns). Before the first, largest elements are found (peaks); at last the columns are divided by what
// makes them V's, and T is made (finish).
//
// Memory: as below; parts (2, batch, groups, 32), read and written in turn; state (batch, 34, 32): V^T V, the
// taus, what columns are divided by. Workgroup memory: 4 * threads + 4224 bytes.
// Limits: f32; threads a multiple of 32.
//% include "linalg/qr_compact.wgsl"

struct Params {
    rows: u32, columns: u32, pitch: u32, first: u32, width: u32, batch: u32, panel: u32, panels: u32,
    groups: u32, step: u32,
}

@group(0) @binding(3) var<storage, read_write> parts: array<f32>;
//% if stage != "peaks"
@group(0) @binding(4) var<storage, read_write> state: array<f32>;
//% endif
@group(0) @binding(5) var<uniform> params: Params;
//% if guarded
// Panels that another method has factorised are left alone.
@group(0) @binding(6) var<storage, read> failed: array<u32>;
//% endif

const STATE = 34u * WIDTH;
const TAUS = 32u * WIDTH;
const INVERSES = 33u * WIDTH;

var<workgroup> sums: array<f32, THREADS>;

// Leaves this workgroup's part of column k's sum (or peak) for the next launch.
fn leave_part(value: f32, at: u32, thread: u32) {
    sums[thread] = value;
    workgroupBarrier();
    if (thread < WIDTH) {
        var total = 0.0;
        for (var g = 0u; g < GROUPS; g++) {
            let other = sums[g * WIDTH + thread];
//% if stage == "peaks"
            total = max(total, other);
//% else
            total = total + other;
//% endif
        }
        parts[at + thread] = total;
    }
}

//% if stage == "columns"
// The sum (or peak) of column `thread % 32` over the parts from `at` on; sums[k] is that of column k.
fn whole(at: u32, thread: u32) -> f32 {
    var total = 0.0;
    for (var g = thread / WIDTH; g < params.groups; g += GROUPS) {
        let part = parts[at + g * WIDTH + thread % WIDTH];
        total = select(total + part, max(total, part), params.step == 0u);
    }
    sums[thread] = total;
    workgroupBarrier();
    if (thread < WIDTH) {
        for (var g = 1u; g < GROUPS; g++) {
            let part = sums[g * WIDTH + thread];
            total = select(total + part, max(total, part), params.step == 0u);
        }
        sums[thread] = total;
    }
    workgroupBarrier();
    return sums[thread % WIDTH];
}

//% endif
@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let index = group.x + group.y * 65535u;
    if (index >= params.groups * params.batch) { return; }
    let z = index / params.groups;
    let own_group = index % params.groups;
//% if guarded
    if (failed[z] == 0u) { return; }
//% endif
    let k = thread % WIDTH;
    let inside = k < params.width;
    let pitch = params.pitch;
    let a0 = z * params.rows * params.columns + params.first + k;
    let v0 = z * params.rows * pitch + params.first;
    let half = params.batch * params.groups * WIDTH;
    let chunk = (params.rows - params.first + params.groups - 1u) / params.groups;
    let begin = params.first + own_group * chunk;
    let end = min(begin + chunk, params.rows);
    let lane = thread / WIDTH;
//% if stage == "peaks"
    var peak = 0.0;
    if (inside) {
        for (var i = begin + lane; i < end; i += GROUPS) {
            peak = max(peak, abs(a[a0 + i * params.columns]));
        }
    }
    leave_part(peak, index * WIDTH, thread);
//% elif stage == "columns"
    let step = params.step;
    let state0 = z * STATE;
    let total = whole((step & 1u) * half + z * params.groups * WIDTH, thread);
    if (step == 0u) {
        let scale = powers_of(total).y;
        if (inside) {
            for (var i = begin + lane; i < end; i += GROUPS) {
                v[v0 + i * pitch + k] = a[a0 + i * params.columns] * scale;
            }
        }
        if (own_group == 0u && thread < WIDTH) { state[state0 + INVERSES + k] = powers_of(total).x; }
    } else {
        let j = step - 1u;
        let row = params.first + j;
        let h = reflector(v[v0 + row * pitch + j], sums[j]);
        let mine = v[v0 + row * pitch + min(k, params.width - 1u)];
        let dot = mine + h.inverse * total;
        let weight = h.tau * dot;
        // Until a column is reflected its place keeps the power that it was divided by.
        let kept = state[state0 + INVERSES + k];
        workgroupBarrier();
        if (own_group == 0u && lane == 0u && inside) {
            if (k < j) {
                state[state0 + k * WIDTH + j] = kept * dot;
            } else {
                a[a0 + row * params.columns] = select(mine - weight, h.alpha, k == j) * kept;
            }
        }
        if (k > j && inside) {
            for (var i = max(begin, row + 1u) + lane; i < end; i += GROUPS) {
                let at = v0 + i * pitch;
                v[at + k] -= weight * h.inverse * v[at + j];
            }
        }
        if (own_group == 0u && lane == 0u && k == j) {
            state[state0 + TAUS + k] = h.tau;
            state[state0 + INVERSES + k] = h.inverse;
        }
    }
    if (step == params.width) { return; }
    storageBarrier();
    workgroupBarrier();
    var sum = 0.0;
    if (inside) {
        for (var i = max(begin, params.first + step + 1u) + lane; i < end; i += GROUPS) {
            let at = v0 + i * pitch;
            sum += v[at + step] * v[at + k];
        }
    }
    leave_part(sum, ((step + 1u) & 1u) * half + index * WIDTH, thread);
//% else
    let state0 = z * STATE;
    let inverse = state[state0 + INVERSES + k];
    if (inside) {
        for (var i = begin + lane; i < end; i += GROUPS) {
            let at = v0 + i * pitch + k;
            let j = i - params.first;
            v[at] = select(select(inverse * v[at], 1.0, j == k), 0.0, j < k);
        }
    }
    if (own_group != 0u) { return; }
    for (var e = thread; e < WIDTH * WIDTH; e += THREADS) { products[e] = state[state0 + e]; }
    if (thread < WIDTH) { taus[thread] = state[state0 + TAUS + thread]; }
    workgroupBarrier();
    if (thread < WIDTH) {
        write_t((z * params.panels + params.panel) * WIDTH * WIDTH, thread, params.width);
    }
//% endif
}
