// Eigenvalues and vectors of small symmetric matrices, one workgroup a matrix: two-sided Jacobi in
// workgroup memory, up to {{ sweeps }} sweeps; one without a rotation is the last.
//
// Memory: a (batch, n, n), of which one triangle is read; w (batch, n) ascending; v (batch, n, n), whose
// columns are the vectors.
// Limits: f32, finite; n of 1 to {{ capacity }}.
//% include "linalg/jacobi_diagonal.wgsl"

struct Params { n: u32, batch: u32, lower: u32 }

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read_write> w: array<f32>;
//% if vectors
@group(0) @binding(2) var<storage, read_write> v: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;
//% else
@group(0) @binding(2) var<uniform> params: Params;
//% endif

var<workgroup> peak: atomic<u32>;
var<workgroup> order: array<u32, CAPACITY>;
var<workgroup> row_sums: array<f32, CAPACITY>;

// Where element (i, j) of the symmetric matrix lies in its triangle.
fn place(i: u32, j: u32) -> u32 {
    let row = select(min(i, j), max(i, j), params.lower != 0u);
    return row * params.n + (i + j - row);
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let matrix = group.x + group.y * 65535u;
    if (matrix >= params.batch) { return; }
    let n = params.n;
    let first = matrix * n * n;
    if (t == 0u) { atomicStore(&peak, 0u); }
    workgroupBarrier();
    var largest = 0.0;
    for (var e = t; e < n * n; e += THREADS) {
        largest = max(largest, abs(a[first + place(e / n, e % n)]));
    }
    atomicMax(&peak, bitcast<u32>(largest));
    workgroupBarrier();
    let powers = powers_of(atomicLoad(&peak));
    for (var e = t; e < CAPACITY * CAPACITY; e += THREADS) {
        let i = e / CAPACITY;
        let j = e % CAPACITY;
        let inside = i < n && j < n;
        let at = select(0u, place(min(i, n - 1u), min(j, n - 1u)), inside);
        g[e] = select(0.0, a[first + at] * powers.y, inside);
//% if vectors
        z[e] = select(0.0, 1.0, i == j);
//% endif
    }
    workgroupBarrier();
    for (var i = t; i < n; i += THREADS) {
        var square = 0.0;
        for (var j = 0u; j < n; j++) { square += g[i * CAPACITY + j] * g[i * CAPACITY + j]; }
        row_sums[i] = square;
        order[i] = i;
    }
    workgroupBarrier();
    let count = max((n + 1u) / 2u * 2u, 2u);
    // All elements below this together change no eigenvalue by n 2^-25 of the norm.
    var sum = 0.0;
    for (var i = 0u; i < n; i++) { sum += row_sums[i]; }
    let least = 0x1p-25 * sqrt(sum / f32(n));
    let turned = diagonalise(count, {{ sweeps }}u, Bounds(0x1p-24, least, 0.0), t);
    for (var i = t; i < n; i += THREADS) {
        let own = g[i * (CAPACITY + 1u)];
        var rank = 0u;
        for (var j = 0u; j < n; j++) {
            let other = g[j * (CAPACITY + 1u)];
            rank += select(0u, 1u, other < own || (other == own && j < i));
        }
        order[rank] = i;
        w[matrix * n + rank] = own * powers.x;
    }
//% if vectors
    workgroupBarrier();
    for (var e = t; e < n * n; e += THREADS) {
        v[first + e] = z[order[e % n] * CAPACITY + e / n];
    }
//% endif
}
