// States of a linear recurrence from block to block: s' = M s + e, where M is the step over a block with no
// input and e the states at its end when it began with zeros (Blelloch, Prefix Sums and Their
// Applications, 1990, for the idea: steps compose, so runs of blocks can be taken alone).
//
//% if prefixes
// An invocation takes a run of blocks of one signal and writes the states at each block's start.
//% else
// An invocation takes a run of blocks of one signal and writes those at the run's end, from zeros.
//% endif
// Memory: states are (sections, blocks, outer, order, inner), M is ({{ sections * order }}, {{ sections * order }}).
// Limits: a row of 65535 workgroups, then the next row.
//% set P = sections * order
//% set ahead = 16 if P <= 4 else 4

alias c64x1 = vec2<f32>;
alias W = {{ scalar }};

struct Params { count: u32, inner: u32, outer: u32, blocks: u32, run: u32, runs: u32 }

@group(0) @binding(0) var<storage, read> ends: array<W>;
@group(0) @binding(1) var<storage, read> step: array<f32>;
//% if started
@group(0) @binding(2) var<storage, read> starts: array<W>;
//% endif
//% if started
@group(0) @binding(3) var<storage, read_write> y: array<W>;
@group(0) @binding(4) var<uniform> params: Params;
//% else
@group(0) @binding(2) var<storage, read_write> y: array<W>;
@group(0) @binding(3) var<uniform> params: Params;
//% endif

fn place(state: u32, blocks: u32, block: u32, outer: u32, inner: u32) -> u32 {
    let row = (state / {{ order }}u * blocks + block) * params.outer + outer;
    return (row * {{ order }}u + state % {{ order }}u) * params.inner + inner;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let index = id.x + id.y * (65535u * 64u);
    if (index >= params.count) { return; }
    let above = index / params.inner;
    let inner = index - above * params.inner;
    let outer = above / params.runs;
    let run = above - outer * params.runs;
    let first = run * params.run;
    let end = min(first + params.run, params.blocks);
//% if P <= 8
//% for i in range(P)
//% if started
    var s{{ i }} = starts[place({{ i }}u, params.runs, run, outer, inner)];
//% else
    var s{{ i }} = W();
//% endif
//% for k in range(P)
    let m{{ i }}_{{ k }} = step[{{ i * P + k }}];
//% endfor
//% endfor
    // The ends of some blocks are asked for before one is used; the last one's is nobody's start, and not known.
    for (var block = first; block < end; block += {{ ahead }}u) {
//% for b in range(ahead)
        let known{{ b }} = min(block + {{ b }}u, max(params.blocks, 2u) - 2u);
//% for i in range(P)
        let e{{ b }}_{{ i }} = ends[place({{ i }}u, params.blocks, known{{ b }}, outer, inner)];
//% endfor
//% endfor
//% for b in range(ahead)
        if (block + {{ b }}u < end) {
//% for i in range(P)
//% if prefixes
            y[place({{ i }}u, params.blocks, block + {{ b }}u, outer, inner)] = s{{ i }};
//% endif
            let after{{ i }} = e{{ b }}_{{ i }}{% for k in range(P) %} + m{{ i }}_{{ k }} * s{{ k }}{% endfor %};
//% endfor
//% for i in range(P)
            s{{ i }} = after{{ i }};
//% endfor
        }
//% endfor
    }
//% if not prefixes
//% for i in range(P)
    y[place({{ i }}u, params.runs, run, outer, inner)] = s{{ i }};
//% endfor
//% endif
//% else
    var s = array<W, {{ P }}>();
//% if started
    for (var i = 0u; i < {{ P }}u; i++) { s[i] = starts[place(i, params.runs, run, outer, inner)]; }
//% endif
    for (var block = first; block < end; block++) {
//% if prefixes
        for (var i = 0u; i < {{ P }}u; i++) { y[place(i, params.blocks, block, outer, inner)] = s[i]; }
//% endif
        // What follows the last block is nobody's start, and its end is not known.
        if (block + 1u == params.blocks) { break; }
        var after = array<W, {{ P }}>();
        for (var i = 0u; i < {{ P }}u; i++) {
            var sum = ends[place(i, params.blocks, block, outer, inner)];
            for (var k = 0u; k < {{ P }}u; k++) { sum += step[i * {{ P }}u + k] * s[k]; }
            after[i] = sum;
        }
        s = after;
    }
//% if not prefixes
    for (var i = 0u; i < {{ P }}u; i++) { y[place(i, params.runs, run, outer, inner)] = s[i]; }
//% endif
//% endif
}
