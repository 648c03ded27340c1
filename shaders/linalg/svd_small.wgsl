// Singular values and vectors of small square matrices by one-sided Jacobi (Hestenes 1958), one workgroup
// a matrix: rows are rotated in pairs until all are orthogonal, J A = S Vh, and J^T is U.
//
// {{ lanes }} lanes hold a pair's rows in registers from the inner products to the rotation; the pairs of
// a round are disjoint, so a round needs one barrier. Up to {{ sweeps }} sweeps; one without a rotation
// is the last. Rows below 2^-24 of the largest are rounding errors: their vectors come from svd_complete.
//
// Memory: a, u, vh (batch, n, n), s (batch, n) descending. Workgroup memory: 4 * rows * pitch bytes, and as
// many for J.
// Limits: f32, finite; n of 1 to {{ capacity }}.
//% set pitch = capacity + lanes if capacity % 16 == 0 else capacity
//% set threads = capacity // 2 * lanes
//% if subgroups
enable subgroups;
//% endif
//% include "linalg/jacobi_rotation.wgsl"

struct Params { n: u32, batch: u32, tolerance: f32 }

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read_write> s: array<f32>;
//% if vectors
@group(0) @binding(2) var<storage, read_write> u: array<f32>;
@group(0) @binding(3) var<storage, read_write> vh: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;
//% else
@group(0) @binding(2) var<uniform> params: Params;
//% endif

const CAPACITY = {{ capacity }}u;
const LANES = {{ lanes }}u;
const PITCH = {{ pitch }}u;
const THREADS = {{ threads }}u;
const EACH = {{ capacity // lanes }}u;
const SWEEPS = {{ sweeps }}u;
// Rows shorter than this, the largest element being 1 to 2, are rounding errors.
const LEAST = 0x1p-26;

var<workgroup> w: array<f32, CAPACITY * PITCH>;
//% if vectors
var<workgroup> rotations: array<f32, CAPACITY * PITCH>;
//% endif
var<workgroup> sizes: array<f32, CAPACITY>;
var<workgroup> order: array<u32, CAPACITY>;
var<workgroup> peak: atomic<u32>;
var<workgroup> moved: u32;
//% if not subgroups
var<workgroup> partials: array<vec3<f32>, THREADS>;
//% endif

// The sum over the lanes of a pair.
fn pair_sum(value: vec3<f32>, t: u32) -> vec3<f32> {
//% if subgroups
    var sum = value;
//% for step in (1, 2, 4)
    sum += subgroupShuffleXor(sum, {{ step }}u);
//% endfor
    return sum;
//% else
    partials[t] = value;
    workgroupBarrier();
    var sum = vec3<f32>();
    let first = t / LANES * LANES;
    for (var e = first; e < first + LANES; e++) { sum += partials[e]; }
    return sum;
//% endif
}

fn round_of_rotations(round: u32, count: u32, t: u32) {
    let i = t / LANES;
    let meets = i < count / 2u;
    let pair = pair_of(select(0u, i, meets), round, count) * PITCH + t % LANES;
    var x: array<f32, EACH>;
    var y: array<f32, EACH>;
    var sum = vec3<f32>();
    if (meets) {
        for (var e = 0u; e < EACH; e++) {
            x[e] = w[pair.x + e * LANES];
            y[e] = w[pair.y + e * LANES];
            sum += vec3<f32>(x[e] * x[e], y[e] * y[e], x[e] * y[e]);
        }
    }
    sum = pair_sum(sum, t);
    let turns = abs(sum.z) > params.tolerance * sqrt(sum.x) * sqrt(sum.y);
    if (meets && turns && min(sum.x, sum.y) > LEAST * LEAST) {
        let r = rotation(sum.x, sum.y, sum.z);
        moved = 1u;
        for (var e = 0u; e < EACH; e++) {
            w[pair.x + e * LANES] = turned_x(x[e], y[e], r);
            w[pair.y + e * LANES] = turned_y(x[e], y[e], r);
        }
//% if vectors
        for (var e = 0u; e < EACH; e++) {
            let above = rotations[pair.x + e * LANES];
            let below = rotations[pair.y + e * LANES];
            rotations[pair.x + e * LANES] = turned_x(above, below, r);
            rotations[pair.y + e * LANES] = turned_y(above, below, r);
        }
//% endif
    }
    workgroupBarrier();
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let z = group.x + group.y * 65535u;
    if (z >= params.batch) { return; }
    let n = params.n;
    let first = z * n * n;
    if (t == 0u) {
        atomicStore(&peak, 0u);
        moved = 0u;
    }
    workgroupBarrier();
    var largest = 0.0;
    for (var e = t; e < n * n; e += THREADS) { largest = max(largest, abs(a[first + e])); }
    atomicMax(&peak, bitcast<u32>(largest));
    workgroupBarrier();
    let powers = powers_of(atomicLoad(&peak));
    for (var e = t; e < CAPACITY * PITCH; e += THREADS) {
        let i = e / PITCH;
        let j = e % PITCH;
        let inside = i < n && j < n;
        w[e] = select(0.0, a[first + select(0u, i * n + j, inside)] * powers.y, inside);
//% if vectors
        rotations[e] = select(0.0, 1.0, i == j);
//% endif
    }
    workgroupBarrier();

    let count = max((n + 1u) / 2u * 2u, 2u);
    for (var sweep = 0u; sweep < SWEEPS; sweep++) {
        for (var round = 0u; round < count - 1u; round++) { round_of_rotations(round, count, t); }
        if (workgroupUniformLoad(&moved) == 0u) { break; }
        if (t == 0u) { moved = 0u; }
        workgroupBarrier();
    }

    if (t < n) {
        var sum = 0.0;
        for (var j = 0u; j < n; j++) { sum += w[t * PITCH + j] * w[t * PITCH + j]; }
        sizes[t] = sqrt(sum);
        order[t] = t;
    }
    workgroupBarrier();
    if (t < n) {
        let own = sizes[t];
        var rank = 0u;
        for (var j = 0u; j < n; j++) {
            rank += select(0u, 1u, sizes[j] > own || (sizes[j] == own && j < t));
        }
        order[rank] = t;
        s[z * n + rank] = own * powers.x;
    }
//% if vectors
    workgroupBarrier();
    let least = sizes[order[0]] * exp2(-24.0);
    for (var e = t; e < n * n; e += THREADS) {
        let i = order[e / n];
        let j = e % n;
        vh[first + e] = select(0.0, w[i * PITCH + j] / max(sizes[i], 1e-37), sizes[i] > least);
        u[first + e] = rotations[order[j] * PITCH + e / n];
    }
//% endif
}
