// Inner products of the 32 rows of each pair of blocks: 32 by 32 sums, four by four an invocation, of a
// part of the columns a workgroup.
//
// Memory: x (batch, 16 blocks, pitch), of which the first n columns count; parts (batch, pairs, splits, 32,
// 32). Workgroup memory: 4 KiB.
//% include "linalg/jacobi_round.wgsl"

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> counts: array<u32>;
@group(0) @binding(2) var<storage, read_write> parts: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

var<workgroup> tile: array<vec4<f32>, SIDE * 8u>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let index = group.x + group.y * 65535u;
    let pairs = params.blocks / 2u;
    if (index >= pairs * params.splits * params.batch) { return; }
    let part = index % params.splits;
    let i = index / params.splits % pairs;
    let z = index / params.splits / pairs;
    if (params.sweep > 0u && counts[(params.sweep - 1u) * params.batch + z] == 0u) { return; }
    let pair = pair_of(i, params.round, params.blocks);
    let x0 = z * params.blocks * HALF * params.pitch;
    let chunk = (params.n + params.splits * SIDE - 1u) / (params.splits * SIDE) * SIDE;
    let end = min((part + 1u) * chunk, params.n);
    var sums: array<vec4<f32>, 4>;
    for (var e = 0u; e < 4u; e++) { sums[e] = vec4<f32>(); }
    for (var k0 = part * chunk; k0 < end; k0 += SIDE) {
        for (var e = t; e < SIDE * 8u; e += 64u) {
            let k = k0 + e % SIDE;
            let at = x0 + row_of(4u * (e / SIDE), pair) * params.pitch + min(k, params.n - 1u);
            let four = vec4<f32>(
                x[at],
                x[at + params.pitch],
                x[at + 2u * params.pitch],
                x[at + 3u * params.pitch],
            );
            tile[e % SIDE * 8u + e / SIDE] = select(vec4<f32>(), four, k < end);
        }
        workgroupBarrier();
        for (var k = 0u; k < SIDE; k++) {
            let left = tile[k * 8u + t / 8u];
            let right = tile[k * 8u + t % 8u];
            for (var e = 0u; e < 4u; e++) { sums[e] += left[e] * right; }
        }
        workgroupBarrier();
    }
    let y0 = index * SIDE * SIDE + t / 8u * 4u * SIDE + t % 8u * 4u;
    for (var e = 0u; e < 4u; e++) {
        for (var f = 0u; f < 4u; f++) { parts[y0 + e * SIDE + f] = sums[e][f]; }
    }
}
