// 64 blocks of one signal a workgroup, for GPUs, where samples are neighbours: lanes read and write
// neighbours and exchange through workgroup memory, so that each runs over a block of its own. A lane
// asks for 32 samples before it stores one.
//% include "signal/sections.wgsl"
//% if local
// Where states are wanted ("local"), those at blocks' ends are added up within the workgroup, as if it began with zeros:
// `shares` are what its blocks then begin with, and `powers` steps over 1, 2, 4 ... blocks. Filtered blocks
// begin with that and the workgroup's start, `starts`, stepped on by `powers` of 0, 1, 2 ... blocks.
//% endif
// Workgroup memory: 64 blocks of {{ block }} samples; sample i of block n lies at i ^ n, off its neighbours' banks.

//% from "signal/recurrence.wgsl" import begin, finish, step
//% set P = sections * order
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
    let whole = start + 64u * BLOCK <= params.length;
    let origin = place_of(outer, start + lane, 0u);
    let stride = select(64u, 0u - 64u, params.backward != 0u);
    if (whole) {
//% for first in range(0, block, 32)
//% for i in range(first, first + 32)
        let x{{ i }} = x[origin + {{ i }}u * stride];
//% endfor
//% for i in range(first, first + 32)
        tile[slot(({{ i * 64 }}u + lane) / BLOCK, ({{ i * 64 }}u + lane) % BLOCK)] = x{{ i }};
//% endfor
//% endfor
    } else {
        for (var i = lane; i < 64u * BLOCK; i += 64u) {
            if (start + i < params.length) {
                tile[slot(i / BLOCK, i % BLOCK)] = x[place_of(outer, start + i, 0u)];
            }
        }
    }
    workgroupBarrier();
    let block = first + lane;
//% if local and not filtered
//% for i in range(P)
    var own{{ i }} = W();
//% endfor
//% endif
    if (block < params.blocks) {
{{ begin(sections, order, started and not local, "0u") }}
//% if local and filtered
//% for i in range(P)
        let from{{ i }} = starts[state_of({{ i // order }}u, {{ i % order }}u, chunks, index - outer * chunks, outer, 0u)];
//% endfor
        let row = lane * {{ P * P }}u;
//% for i in range(P)
        s{{ i // order }}_{{ i % order + 1 }} = shares[state_of({{ i // order }}u, {{ i % order }}u, params.blocks, block, outer, 0u)]
//%- for k in range(P)
 + powers[row + {{ i * P + k }}u] * from{{ k }}
//%- endfor
;
//% endfor
//% endif
        let end = min(BLOCK, params.length - block * BLOCK);
        for (var t = 0u; t < end; t++) {
            let place = slot(lane, t);
            let v0 = tile[place];
{{ step(sections, order) }}
//% if filtered
            tile[place] = v{{ sections }};
//% endif
        }
//% if local and not filtered
//% for i in range(P)
        own{{ i }} = s{{ i // order }}_{{ i % order + 1 }};
//% endfor
//% elif ended
//% if filtered
        if (block + 1u == params.blocks) {
//% else
        if (block + 1u < params.blocks) {
//% endif
{{ finish(sections, order, filtered, "0u") }}
        }
//% endif
    }
//% if local and not filtered
//% for j in range(6)
    workgroupBarrier();
//% for i in range(P)
    tile[{{ i * 64 }}u + lane] = own{{ i }};
//% endfor
    workgroupBarrier();
    if (lane >= {{ 2 ** j }}u) {
//% for i in range(P)
        let before{{ i }} = tile[{{ i * 64 - 2 ** j }} + i32(lane)];
//% endfor
//% for i in range(P)
        own{{ i }} += powers[{{ (j * P + i) * P }}u] * before0
//%- for k in range(1, P)
 + powers[{{ (j * P + i) * P + k }}u] * before{{ k }}
//%- endfor
;
//% endfor
    }
//% endfor
    // What a block ends with, the next begins with; what the last ends with, the next workgroup.
    if (lane == 0u && block < params.blocks) {
//% for i in range(P)
        shares[state_of({{ i // order }}u, {{ i % order }}u, params.blocks, block, outer, 0u)] = W();
//% endfor
    }
    if (lane < 63u && block + 1u < params.blocks) {
//% for i in range(P)
        shares[state_of({{ i // order }}u, {{ i % order }}u, params.blocks, block + 1u, outer, 0u)] = own{{ i }};
//% endfor
    }
    if (lane == 63u) {
//% for i in range(P)
        ends[state_of({{ i // order }}u, {{ i % order }}u, chunks, index - outer * chunks, outer, 0u)] = own{{ i }};
//% endfor
    }
//% endif
//% if filtered
    workgroupBarrier();
    if (whole) {
        for (var i = 0u; i < BLOCK; i++) {
            let sample = i * 64u + lane;
            y[origin + i * stride] = tile[slot(sample / BLOCK, sample % BLOCK)];
        }
        return;
    }
    for (var i = lane; i < 64u * BLOCK; i += 64u) {
        if (start + i < params.length) {
            y[place_of(outer, start + i, 0u)] = tile[slot(i / BLOCK, i % BLOCK)];
        }
    }
//% endif
}
