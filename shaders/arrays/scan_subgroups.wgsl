// Scans the last axis in one launch on a GPU with subgroups of {{ lanes }} lanes: a workgroup takes a tile of {{ 4 * quads * lanes * groups }}
// elements, {{ quads * words // 4 }} words of 16 bytes a lane, neighbouring lanes neighbouring words, all read before one is used.
// Of a row of several tiles, one more subgroup shows at once what the tile comes to and looks up what those before it
// come to (arrays/scan_windows.wgsl) while the others scan.
// What words come to is scanned from lane to lane (Hillis and Steele 1986) and from one row of words to the next, and
// subgroups meet in workgroup memory. Scanned numbers stand in registers until what is before is known.
//
// Workgroup memory: less than 1 KiB. Limits: 2^32 elements.
enable subgroups;
diagnostic(off, subgroup_uniformity);
//% import "arrays/words.wgsl" as typed
//% set neutral = {"add": "0", "mul": "1", "max": "0", "custom": identity | default("")}[combine]
//% set bits = {4: 2, 8: 3, 16: 4, 32: 5, 64: 6}[lanes]
//% set each = quads * words // 4
//% set per_word = 4 * (4 // words)
//% set halves = 1 if acc == "f32" else 2
//% include "arrays/scan.wgsl"

// count: tiles of all rows.
struct Params {
    n: u32,
    tiles: u32,
    groups: u32,
    count: u32,
}

alias V = {{ acc }};

//% if aligned
@group(0) @binding(0) var<storage, read> x: array<{{ typed.wide[kind] }}>;
@group(0) @binding(1) var<storage, read_write> y: array<{{ typed.wide[target] }}>;
//% else
@group(0) @binding(0) var<storage, read> x: array<{{ typed.storage[kind] }}>;
@group(0) @binding(1) var<storage, read_write> y: array<{{ target }}>;
//% endif
//% if many
@group(0) @binding(2) var<storage, read_write> nodes: array<atomic<u32>>;
//% endif
//% if many
@group(0) @binding(3) var<uniform> params: Params;
//% else
@group(0) @binding(2) var<uniform> params: Params;
//% endif

//% include "arrays/scan_words.wgsl"

// Subgroups that scan.
const GROUPS = {{ groups }}u;
const SUBGROUP = {{ lanes }}u;
// Elements of a row of words of a subgroup, of all its words, of a tile.
const STEP = SUBGROUP * {{ per_word }}u;
const RUN = {{ each }}u * STEP;
const TILE = GROUPS * RUN;

var<workgroup> sums: array<V, GROUPS>;

// What a subgroup's lanes come to together.
fn reduced(v: V) -> V {
    var sum = v;
//% for bit in range(bits)
    sum = sum_of_two(sum, subgroupShuffleXor(sum, {{ 2 ** bit }}u));
//% endfor
    return sum;
}
//% if many

//% include "arrays/scan_windows.wgsl"

var<workgroup> ahead: V;
//% endif

@compute @workgroup_size({{ (groups + many) * lanes }})
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let i = group.x + group.y * 65535u;
    if (i >= params.count) { return; }
    let tile = i % params.tiles;
    let row = i / params.tiles;
    let lane = t % SUBGROUP;
    let own = t / SUBGROUP;
    let begin = tile * TILE + own * RUN + lane * {{ per_word }}u;
//% for j in range(each)
    var word{{ j }}: Word;
    var sum{{ j }}: V;
//% endfor
    if (own < GROUPS) {
//% for j in range(each)
        word{{ j }} = word_at(row, begin + {{ j }}u * STEP);
//% endfor
//% for j in range(each)
        sum{{ j }} = total_of_word(word{{ j }});
//% endfor
        var run = sum0;
//% for j in range(1, each)
        run = sum_of_two(run, sum{{ j }});
//% endfor
        run = reduced(run);
        if (lane == 0u) { sums[own] = run; }
    }
    workgroupBarrier();
    var start = V({{ neutral }});
    for (var g = 0u; g < own; g++) { start = sum_of_two(start, sums[g]); }
    if (own < GROUPS) {
//% for bit in range(bits)
//% for j in range(each)
        let step{{ bit }}_{{ j }} = subgroupShuffleUp(sum{{ j }}, {{ 2 ** bit }}u);
        sum{{ j }} = select(sum{{ j }}, sum_of_two(step{{ bit }}_{{ j }}, sum{{ j }}), lane >= {{ 2 ** bit }}u);
//% endfor
//% endfor
//% for j in range(each)
        let below{{ j }} = subgroupShuffleUp(sum{{ j }}, 1u);
        word{{ j }} = scan_of_word(sum_of_two(start, select(V({{ neutral }}), below{{ j }}, lane > 0u)), word{{ j }});
        start = sum_of_two(start, subgroupShuffle(sum{{ j }}, SUBGROUP - 1u));
//% endfor
    }
//% if many
    else {
        if (lane == 0u) { show_node(row, tile, start); }
        let before = before_tile(row, tile, lane);
        if (lane == 0u) { ahead = before; }
    }
    workgroupBarrier();
    if (own == GROUPS) {
        leave(lane);
        return;
    }
//% endif
//% for j in range(each)
//% if many
    put_word(row, begin + {{ j }}u * STEP, ahead, word{{ j }});
//% else
    put_word(row, begin + {{ j }}u * STEP, V({{ neutral }}), word{{ j }});
//% endif
//% endfor
}
