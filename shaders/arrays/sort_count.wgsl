//% if variant == "plain"
// Counts the digits of each tile of a radix sort, one invocation a tile.
//% else
// Counts the digits of each tile of a radix sort, a workgroup a tile, by atomic additions in workgroup memory.
//% endif
//
// Memory: x is (row, n). Limits: 2^32 keys; a row of 65535 workgroups, then the next.
//% include "arrays/sort.wgsl"

//% if source == "key"
@group(0) @binding(0) var<storage, read> x: array<u32>;
//% else
@group(0) @binding(0) var<storage, read> x: array<{{ source }}>;
//% endif
@group(0) @binding(1) var<storage, read_write> counts: array<u32>;
@group(0) @binding(2) var<uniform> params: Params;

//% if variant == "plain"
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.x + id.y * (65535u * 64u);
    if (i >= params.count) { return; }
    let begin = i % params.tiles * {{ tile }}u;
    let row = i / params.tiles * params.n;
    var found = array<u32, DIGITS>();
    for (var k = begin; k < min(params.n, begin + {{ tile }}u); k++) {
        found[digit_of(key_from(x[row + k]))] += 1u;
    }
    for (var d = 0u; d < DIGITS; d++) { counts[i * DIGITS + d] = found[d]; }
}
//% else
var<workgroup> found: array<atomic<u32>, DIGITS>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = group.x + group.y * 65535u;
    if (i >= params.count) { return; }
    let begin = i % params.tiles * {{ tile }}u;
    let row = i / params.tiles * params.n;
    if (lane < DIGITS) { atomicStore(&found[lane], 0u); }
    workgroupBarrier();
//% for j in range(tile // 256)
    let k{{ j }} = begin + {{ 256 * j }}u + lane;
    let v{{ j }} = x[row + min(k{{ j }}, params.n - 1u)];
//% endfor
//% for j in range(tile // 256)
    if (k{{ j }} < params.n) { atomicAdd(&found[digit_of(key_from(v{{ j }}))], 1u); }
//% endfor
    workgroupBarrier();
    if (lane < DIGITS) { counts[i * DIGITS + lane] = atomicLoad(&found[lane]); }
}
//% endif
