// The rotations of each pair of blocks: the 32 by 32 matrix that belongs to it is made diagonal by {{ inner }}
// sweeps at most, one workgroup a pair. The matrix is the sum of the parts of inner products of rows
// (gram), or what a symmetric matrix has where the rows and columns of the pair meet.
//
// Memory: x: parts (batch, pairs, splits, 32, 32), or matrices (batch, n, n), n = 16 blocks; turned (batch,
// pairs, 32, 32); leasts (batch), what is too small to count; counts (sweeps, batch) becomes 1 where
// anything was turned.
//% include "linalg/jacobi_diagonal.wgsl"

struct Params { blocks: u32, round: u32, sweep: u32, batch: u32, splits: u32, relative: f32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> counts: array<atomic<u32>>;
@group(0) @binding(2) var<storage, read_write> turned: array<f32>;
//% if not gram
@group(0) @binding(3) var<storage, read> leasts: array<f32>;
//% endif
@group(0) @binding(4) var<uniform> params: Params;

const SIDE = 32u;
const HALF = 16u;

var<workgroup> settled: u32;
var<workgroup> mended: array<f32, SIDE>;

//% if gram
fn element(first: u32, e: u32) -> f32 {
    var sum = 0.0;
    for (var part = 0u; part < params.splits; part++) {
        sum += x[(first * params.splits + part) * SIDE * SIDE + e];
    }
    return sum;
}
//% else
fn element(first: u32, e: u32) -> f32 {
    let pairs = params.blocks / 2u;
    let pair = pair_of(first % pairs, params.round, params.blocks) * HALF;
    let n = params.blocks * HALF;
    let i = e / SIDE;
    let j = e % SIDE;
    let row = select(pair.y, pair.x, i < HALF) + i % HALF;
    let column = select(pair.y, pair.x, j < HALF) + j % HALF;
    let x0 = first / pairs * n * n;
    return 0.5 * (x[x0 + row * n + column] + x[x0 + column * n + row]);
}
//% endif

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let index = group.x + group.y * 65535u;
    let pairs = params.blocks / 2u;
    if (index >= pairs * params.batch) { return; }
    let own = params.sweep * params.batch + index / pairs;
    if (t == 0u) {
        settled = 0u;
        if (params.sweep > 0u && atomicLoad(&counts[own - params.batch]) == 0u) { settled = 1u; }
    }
    if (workgroupUniformLoad(&settled) != 0u) { return; }
    for (var e = t; e < SIDE * SIDE; e += THREADS) {
        g[e] = element(index, e);
        z[e] = select(0.0, 1.0, e / SIDE == e % SIDE);
    }
    workgroupBarrier();
//% if gram
    // Rows below 2^-26, the largest element being 1 to 2, are rounding errors.
    let any = diagonalise(SIDE, {{ inner }}u, Bounds(params.relative, 0.0, 0x1p-52), t);
//% else
    let any = diagonalise(SIDE, {{ inner }}u, Bounds(params.relative, leasts[index / pairs], 0.0), t);
//% endif
    // Hundreds of rounds would add up what the rows' norms differ from 1: a step of Newton's mends them.
    if (t < SIDE) {
        var square = 0.0;
        for (var e = 0u; e < SIDE; e++) { square += z[t * SIDE + e] * z[t * SIDE + e]; }
        mended[t] = 1.5 - 0.5 * square;
    }
    workgroupBarrier();
    for (var e = t; e < SIDE * SIDE; e += THREADS) {
        turned[index * SIDE * SIDE + e] = mended[e / SIDE] * z[e];
    }
    if (t == 0u && any) { atomicStore(&counts[own], 1u); }
}
