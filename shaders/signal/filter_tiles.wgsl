// 64 blocks of one signal a workgroup, for GPUs, where samples are neighbours: lanes read and write
// neighbours and exchange through workgroup memory, so that each runs over a block of its own.
//% include "signal/sections.wgsl"
// Workgroup memory: 64 blocks of {{ block }} samples; sample i of block n lies at i ^ n, off its neighbours' banks.

//% from "signal/recurrence.wgsl" import begin, finish, step
const BLOCK = {{ block }}u;

var<workgroup> tile: array<W, 64u * BLOCK>;

fn slot(block: u32, i: u32) -> u32 {
    return block * BLOCK + (i ^ (block & 31u));
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let chunks = (params.blocks + 63u) / 64u;
    let index = workgroup.x + workgroup.y * 65535u;
    let outer = index / chunks;
    if (outer >= params.outer) { return; }
    let first = (index - outer * chunks) * 64u;
    let start = first * BLOCK;
    for (var i = lane; i < 64u * BLOCK; i += 64u) {
        if (start + i < params.length) {
            tile[slot(i / BLOCK, i % BLOCK)] = x[place_of(outer, start + i, 0u)];
        }
    }
    workgroupBarrier();
    let block = first + lane;
    if (block < params.blocks) {
{{ begin(sections, order, started, "0u") }}
        let end = min(BLOCK, params.length - block * BLOCK);
        for (var t = 0u; t < end; t++) {
            let place = slot(lane, t);
            let v0 = tile[place];
{{ step(sections, order) }}
//% if filtered
            tile[place] = v{{ sections }};
//% endif
        }
//% if ended
        if (block + 1u {{ "==" if filtered else "<" }} params.blocks) {
{{ finish(sections, order, filtered, "0u") }}
        }
//% endif
    }
//% if filtered
    workgroupBarrier();
    for (var i = lane; i < 64u * BLOCK; i += 64u) {
        if (start + i < params.length) {
            y[place_of(outer, start + i, 0u)] = tile[slot(i / BLOCK, i % BLOCK)];
        }
    }
//% endif
}
