// The small matrices of a panel of 32 columns that is factorised by its inner products, one workgroup a
// matrix (CholeskyQR2: Yamamoto et al. 2015, ETNA 44; Householder form: Ballard et al. 2014, IPDPS).
//
// first: G = A^T A = R1^T R1. second: Q1 = A R1^-1 has G = R2^T R2, so that Q = Q1 R2^-1 is orthonormal and
// R = R2 R1. With signs S that make all pivots at least 1, Q - S = V U (no pivoting), whose unit lower V are
// the vectors of I - V T V^T, T = -U S V_top^-T, which turns A into S R. Where a pivot says that A is
// ill-conditioned, or Q1 is far from orthonormal, `failed` is set, and nothing else written that counts.
//
// Memory: parts (batch, splits, 32, 32); small (batch, 2, 32, 32): R1, and U R2; q1 (batch, rows - first, 32);
// a, v, t as in qr_panel; failed (batch). Workgroup memory: 12.5 KiB.
// Limits: f32.
struct Params {
    rows: u32, columns: u32, pitch: u32, first: u32, batch: u32, panel: u32, panels: u32, splits: u32,
}

@group(0) @binding(0) var<storage, read> parts: array<f32>;
@group(0) @binding(1) var<storage, read_write> small: array<f32>;
@group(0) @binding(2) var<storage, read_write> failed: array<u32>;
//% if stage == "second"
@group(0) @binding(3) var<storage, read> q1: array<f32>;
@group(0) @binding(4) var<storage, read_write> a: array<f32>;
@group(0) @binding(5) var<storage, read_write> v: array<f32>;
@group(0) @binding(6) var<storage, read_write> t: array<f32>;
//% endif
@group(0) @binding(7) var<uniform> params: Params;

const SIDE = 32u;
const AREA = 1024u;
const THREADS = 256u;

var<workgroup> g: array<f32, AREA>;
var<workgroup> diagonal: array<f32, SIDE>;
var<workgroup> bad: atomic<u32>;
//% if stage == "second"
var<workgroup> lu: array<f32, AREA>;
var<workgroup> other: array<f32, AREA>;
var<workgroup> signs: array<f32, SIDE>;
//% endif

// g becomes R with g = R^T R.
fn factorise(thread: u32) {
    for (var e = thread; e < SIDE; e += THREADS) { diagonal[e] = g[e * (SIDE + 1u)]; }
    for (var k = 0u; k < SIDE; k++) {
        workgroupBarrier();
        let pivot = g[k * (SIDE + 1u)];
        for (var e = thread; e < AREA; e += THREADS) {
            let i = e / SIDE;
            let j = e % SIDE;
            if (i > k && j >= i) { g[e] -= g[k * SIDE + i] * g[k * SIDE + j] / pivot; }
        }
    }
    workgroupBarrier();
    // A column keeps 1 / 512 of its square beside those before it; squares are far from the ends.
    if (thread < SIDE) {
        let pivot = g[thread * (SIDE + 1u)];
        let whole = diagonal[thread];
        if (!(pivot > whole / 512.0 && whole > 1e-30 && whole < 1e30)) { atomicStore(&bad, 1u); }
        diagonal[thread] = 1.0 / sqrt(pivot);
    }
    workgroupBarrier();
    for (var e = thread; e < AREA; e += THREADS) {
        g[e] = select(g[e] * diagonal[e / SIDE], 0.0, e / SIDE > e % SIDE);
    }
    workgroupBarrier();
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let z = group.x + group.y * 65535u;
    if (z >= params.batch) { return; }
    let small0 = z * 2u * AREA;
    if (thread == 0u) { atomicStore(&bad, 0u); }
    workgroupBarrier();
    for (var e = thread; e < AREA; e += THREADS) {
        var sum = 0.0;
        for (var s = 0u; s < params.splits; s++) { sum += parts[(z * params.splits + s) * AREA + e]; }
        g[e] = sum;
//% if stage == "second"
        let unit = select(0.0, 1.0, e / SIDE == e % SIDE);
        if (!(abs(sum - unit) < 0x1p-6)) { atomicStore(&bad, 1u); }
//% endif
    }
    workgroupBarrier();
    factorise(thread);
//% if stage == "first"
    for (var e = thread; e < AREA; e += THREADS) { small[small0 + e] = g[e]; }
    if (thread == 0u) { failed[z] = atomicLoad(&bad); }
//% else
    // The top of Q: rows of Q1 by substitution with R2.
    let q0 = z * (params.rows - params.first) * SIDE;
    for (var e = thread; e < AREA; e += THREADS) { lu[e] = q1[q0 + e]; }
    for (var k = 0u; k < SIDE; k++) {
        workgroupBarrier();
        let pivot = g[k * (SIDE + 1u)];
        for (var e = thread; e < AREA; e += THREADS) {
            let j = e % SIDE;
            if (j > k) { lu[e] -= lu[e - j + k] / pivot * g[k * SIDE + j]; }
        }
    }
    workgroupBarrier();
    for (var e = thread; e < AREA; e += THREADS) { lu[e] /= g[e % SIDE * (SIDE + 1u)]; }
    // V U = Q - S.
    for (var k = 0u; k < SIDE; k++) {
        workgroupBarrier();
        let plain = lu[k * (SIDE + 1u)];
        let sign = select(-1.0, 1.0, plain < 0.0);
        if (thread == 0u) { signs[k] = sign; }
        for (var e = thread; e < AREA; e += THREADS) {
            let i = e / SIDE;
            let j = e % SIDE;
            if (i > k && j > k) { lu[e] -= lu[i * SIDE + k] / (plain - sign) * lu[k * SIDE + j]; }
        }
    }
    workgroupBarrier();
    if (thread < SIDE) { lu[thread * (SIDE + 1u)] -= signs[thread]; }
    workgroupBarrier();
    // Below the diagonal V from here on; `other` is what T begins as, -U S.
    for (var e = thread; e < AREA; e += THREADS) {
        let i = e / SIDE;
        let j = e % SIDE;
        other[e] = select(-lu[e] * signs[j], 0.0, i > j);
        if (i > j) { lu[e] /= lu[j * (SIDE + 1u)]; }
    }
    for (var k = 0u; k < SIDE; k++) {
        workgroupBarrier();
        for (var e = thread; e < AREA; e += THREADS) {
            let j = e % SIDE;
            if (j > k) { other[e] -= other[e - j + k] * lu[j * SIDE + k]; }
        }
    }
    workgroupBarrier();
    if (failed[z] != 0u || atomicLoad(&bad) != 0u) {
        if (thread == 0u) { failed[z] = 2u; }
        return;
    }
    let t0 = (z * params.panels + params.panel) * AREA;
    for (var e = thread; e < AREA; e += THREADS) {
        let i = e / SIDE;
        let j = e % SIDE;
        t[t0 + e] = select(other[e], 0.0, i > j);
        let row = z * params.rows + params.first + i;
        v[row * params.pitch + params.first + j] = select(select(lu[e], 1.0, i == j), 0.0, i < j);
        var r = 0.0;
        var p = 0.0;
        for (var l = i; l <= j; l++) {
            r += g[i * SIDE + l] * small[small0 + l * SIDE + j];
            p += lu[i * SIDE + l] * g[l * SIDE + j];
        }
        if (i <= j) { a[row * params.columns + params.first + j] = signs[i] * r; }
        small[small0 + AREA + e] = p;
    }
//% endif
}
