// Scans the last axis on a GPU in one launch: a workgroup takes a tile of 4096 elements, in {{ words }} words of 16
// bytes a lane, which are all read before one is used. Words are summed, the sums scanned in workgroup memory by
// 16 and 16 runs of them, and what the tiles before come to is added (arrays/scan_nodes.wgsl).
//
// Workgroup memory: {{ words + 2 }} KiB. Limits: 2^32 elements.
//% import "arrays/words.wgsl" as typed
//% set neutral = {"add": "0", "mul": "1", "max": "0", "custom": identity | default("")}[combine]
//% set parts = 1
//% set bits = 5
//% set across = "1u"
//% set per_word = 4 * (4 // words)
//% include "arrays/scan_row_operands.wgsl"

//% if many
//% include "arrays/scan_nodes.wgsl"
//% else
const LANES = 256u;
var<private> own_row: u32;
//% endif

//% include "arrays/scan_words.wgsl"

const TILE = 16u * LANES;
const SIDE = 16u;

var<workgroup> sums: array<V, {{ words }}u * LANES>;
var<workgroup> runs: array<V, LANES + SIDE>;
var<workgroup> heads: array<V, SIDE>;

struct Elements {
//% for j in range(words)
    w{{ j }}: Word,
//% endfor
}

// The words of a lane in a tile.
fn elements_of(tile: u32, t: u32) -> Elements {
    let begin = tile * TILE + t * {{ per_word }}u;
    var all: Elements;
//% for j in range(words)
    all.w{{ j }} = word_at(own_row, begin + {{ j * per_word }}u * LANES);
//% endfor
    return all;
}

// What a tile comes to; what its words before each come to is in `sums` after a barrier.
fn total_of(all: Elements, t: u32) -> V {
//% for j in range(words)
    sums[{{ j }}u * LANES + t] = total_of_word(all.w{{ j }});
//% endfor
    workgroupBarrier();
//% for j in range(words)
    let own{{ j }} = sums[{{ words }}u * t + {{ j }}u];
//% endfor
    var run = own0;
//% for j in range(1, words)
    run = sum_of_two(run, own{{ j }});
//% endfor
    runs[t + t / SIDE] = run;
    workgroupBarrier();
    if (t < SIDE) {
        var head = V({{ neutral }});
        for (var s = 0u; s < SIDE; s++) {
            let at = t * (SIDE + 1u) + s;
            let next = sum_of_two(head, runs[at]);
            runs[at] = head;
            head = next;
        }
        heads[t] = head;
    }
    workgroupBarrier();
    var whole = V({{ neutral }});
    var start = whole;
    for (var s = 0u; s < SIDE; s++) {
        start = select(start, whole, s == t / SIDE);
        whole = sum_of_two(whole, heads[s]);
    }
    start = sum_of_two(start, runs[t + t / SIDE]);
//% for j in range(words)
    sums[{{ words }}u * t + {{ j }}u] = start;
    start = sum_of_two(start, own{{ j }});
//% endfor
    return whole;
}

fn tile_total(tile: u32, t: u32) -> V { return total_of(elements_of(tile, t), t); }

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
//% if many
    let i = taken(t);
//% else
    let i = group.x + group.y * 65535u;
//% endif
    if (i >= params.count) { return; }
    let tile = i % params.tiles;
    own_row = i / params.tiles;
//% if many
    place = t;
//% endif
    let all = elements_of(tile, t);
    let whole = total_of(all, t);
    workgroupBarrier();
//% for j in range(words)
    var start{{ j }} = sums[{{ j }}u * LANES + t];
//% endfor
//% if many
    workgroupBarrier();
    let before = before_tile(tile, whole, t);
//% for j in range(words)
    start{{ j }} = sum_of_two(before, start{{ j }});
//% endfor
//% endif
    let begin = tile * TILE + t * {{ per_word }}u;
//% for j in range(words)
    put_word(own_row, begin + {{ j * per_word }}u * LANES, V({{ neutral }}), scan_of_word(start{{ j }}, all.w{{ j }}));
//% endfor
}
