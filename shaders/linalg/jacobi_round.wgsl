// A round of a block Jacobi method: rows in blocks of 16, the blocks in disjoint pairs of 32 rows.
// A sweep whose predecessor turned nothing is left out, by the counts that the pairs keep.
//
// Limits: an even number of blocks.
//% include "linalg/jacobi_rotation.wgsl"

struct Params {
    n: u32, blocks: u32, pitch: u32, first: u32, width: u32, round: u32, sweep: u32, batch: u32,
    splits: u32,
}

const SIDE = 32u;
const HALF = 16u;

// The row of a matrix that is row `e` of a pair of blocks.
fn row_of(e: u32, pair: vec2<u32>) -> u32 {
    return select(pair.y, pair.x, e < HALF) * HALF + e % HALF;
}
