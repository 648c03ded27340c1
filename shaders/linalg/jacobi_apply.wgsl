// The rotations of each pair of blocks times its 32 rows: 64 columns a workgroup, 8 rows of a column an
// invocation. In place; or the transpose to another buffer, so that doing it twice turns rows and columns.
//
// Memory: x (batch, 16 blocks, pitch), columns `first` to first + width; turned (batch, pairs, 32, 32); y
// (batch, pitch, 16 blocks). Workgroup memory: 12.2 KiB.
//% include "linalg/jacobi_round.wgsl"

@group(0) @binding(0) var<storage, read> turned: array<f32>;
@group(0) @binding(1) var<storage, read> counts: array<u32>;
//% if transposed
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;
//% else
@group(0) @binding(2) var<storage, read_write> x: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;
//% endif

const COLUMNS = 64u;
const PITCH = COLUMNS + 1u;
const THREADS = 256u;

var<workgroup> rows: array<f32, SIDE * PITCH>;
var<workgroup> weights: array<vec4<f32>, SIDE * 8u>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let tiles = (params.width + COLUMNS - 1u) / COLUMNS;
    let pairs = params.blocks / 2u;
    let index = group.x + group.y * 65535u;
    if (index >= tiles * pairs * params.batch) { return; }
    let i = index / tiles % pairs;
    let z = index / tiles / pairs;
    if (params.sweep > 0u && counts[(params.sweep - 1u) * params.batch + z] == 0u) { return; }
    let pair = pair_of(i, params.round, params.blocks);
    let height = params.blocks * HALF;
    let x0 = z * height * params.pitch + params.first;
    let c0 = index % tiles * COLUMNS;
    let inside = min(COLUMNS, params.width - c0);
    for (var e = t; e < SIDE * COLUMNS; e += THREADS) {
        let c = min(e % COLUMNS, inside - 1u);
        rows[e / COLUMNS * PITCH + e % COLUMNS] = x[x0 + row_of(e / COLUMNS, pair) * params.pitch + c0 + c];
    }
    let z0 = (z * pairs + i) * SIDE * SIDE;
    for (var e = t; e < SIDE * 8u; e += THREADS) {
        let at = z0 + e / SIDE * 4u * SIDE + e % SIDE;
        weights[e % SIDE * 8u + e / SIDE] = vec4<f32>(
            turned[at],
            turned[at + SIDE],
            turned[at + 2u * SIDE],
            turned[at + 3u * SIDE],
        );
    }
    workgroupBarrier();
    let c = t % COLUMNS;
    let quad = t / COLUMNS * 2u;
    var high = vec4<f32>();
    var low = vec4<f32>();
    for (var k = 0u; k < SIDE; k++) {
        let value = rows[k * PITCH + c];
        high += weights[k * 8u + quad] * value;
        low += weights[k * 8u + quad + 1u] * value;
    }
//% if transposed
    workgroupBarrier();
    for (var e = 0u; e < 4u; e++) {
        rows[(quad * 4u + e) * PITCH + c] = high[e];
        rows[(quad * 4u + 4u + e) * PITCH + c] = low[e];
    }
    workgroupBarrier();
    let y0 = z * height * params.pitch;
    for (var e = t; e < SIDE * inside; e += THREADS) {
        y[y0 + (c0 + e / SIDE) * height + row_of(e % SIDE, pair)] = rows[e % SIDE * PITCH + e / SIDE];
    }
//% else
    if (c < inside) {
        for (var e = 0u; e < 4u; e++) {
            x[x0 + row_of(quad * 4u + e, pair) * params.pitch + c0 + c] = high[e];
            x[x0 + row_of(quad * 4u + 4u + e, pair) * params.pitch + c0 + c] = low[e];
        }
    }
//% endif
}
