// A block of one signal an invocation, sample after sample: for signals whose samples lie apart, for
// short ones, and for software renderers.
//% include "signal/sections.wgsl"

//% from "signal/recurrence.wgsl" import begin, finish, step
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let index = id.x + id.y * (65535u * 64u);
    if (index >= params.count) { return; }
    let above = index / params.inner;
    let inner = index - above * params.inner;
    // Where only ends are wanted, the last block's is nobody's start.
//% if filtered
    let blocks = params.blocks;
//% else
    let blocks = params.blocks - 1u;
//% endif
    let outer = above / blocks;
    let block = above - outer * blocks;
{{ begin(sections, order, started, "inner") }}
    let end = min((block + 1u) * params.block, params.length);
    for (var t = block * params.block; t < end; t++) {
        let place = place_of(outer, t, inner);
        let v0 = x[place];
{{ step(sections, order) }}
//% if filtered
        y[place] = v{{ sections }};
//% endif
    }
//% if ended
//% if filtered
    if (block + 1u == params.blocks) {
//% else
    if (true) {
//% endif
{{ finish(sections, order, filtered, "inner") }}
    }
//% endif
}
