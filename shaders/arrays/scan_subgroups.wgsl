// Scans the last axis in one launch on a GPU with subgroups of {{ lanes }} lanes: a workgroup takes a tile of {{ 1024 * quads }}
// elements, in {{ quads * words // 4 }} words of 16 bytes a lane, neighbouring lanes neighbouring words, all read before one is used.
// What words come to is scanned from lane to lane (Hillis and Steele 1986), then from one row of words to the
// next, and subgroups meet in workgroup memory. The first subgroup alone looks at what the tiles before come to
// (arrays/scan_tree.wgsl), a lane a sibling, with no barriers.
//
// Workgroup memory: less than 1 KiB. Limits: 2^32 elements.
//% if enable_subgroups
enable subgroups;
diagnostic(off, subgroup_uniformity);
//% endif
//% import "arrays/words.wgsl" as typed
//% set neutral = {"add": "0", "mul": "1", "max": "0"}[combine]
//% set parts = 1
//% set bits = {4: 2, 8: 3, 16: 4, 32: 5, 64: 6}[lanes]
//% set most_levels = 18 // bits + 1
//% set each = quads * words // 4
//% set per_word = 4 * (4 // words)
//% include "arrays/scan_row_operands.wgsl"

//% if many
//% include "arrays/scan_tree.wgsl"
//% else
const LANES = 256u;
var<private> own_row: u32;
//% endif

//% include "arrays/scan_words.wgsl"

const SUBGROUP = {{ lanes }}u;
const GROUPS = LANES / SUBGROUP;
// Elements of a row of words of a subgroup, of all its words, of a tile.
const STEP = SUBGROUP * {{ per_word }}u;
const RUN = {{ each }}u * STEP;
const TILE = GROUPS * RUN;

var<workgroup> sums: array<V, GROUPS>;
//% if many
var<workgroup> ticket: u32;
var<workgroup> ahead: V;

// What a subgroup's lanes come to together.
fn reduced(v: V) -> V {
    var sum = v;
//% for bit in range(bits)
    sum = sum_of_two(sum, subgroupShuffleXor(sum, {{ 2 ** bit }}u));
//% endfor
    return sum;
}

// What a tile comes to, as its own workgroup finds it.
fn tile_total(tile: u32) -> V {
    var whole = V({{ neutral }});
    for (var g = 0u; g < GROUPS; g++) {
        var run = V({{ neutral }});
        for (var j = 0u; j < {{ each }}u; j++) {
            var sum = total_of_word(word_at(tile * TILE + g * RUN + j * STEP + place * {{ per_word }}u));
//% for bit in range(bits)
            let step{{ bit }} = subgroupShuffleUp(sum, {{ 2 ** bit }}u);
            sum = select(sum, sum_of_two(step{{ bit }}, sum), place >= {{ 2 ** bit }}u);
//% endfor
            run = sum_of_two(run, subgroupShuffle(sum, SUBGROUP - 1u));
        }
        whole = sum_of_two(whole, run);
    }
    return whole;
}

// Makes a missing node, or one below it that is missing too.
fn make_node(missing_level: u32, missing_index: u32) {
    var level = missing_level;
    var index = missing_index;
    while (level > 0u) {
        let there = sees_node(level - 1u, index * RADIX + place);
        let child = found;
        let gap = subgroupMin(select(place, NONE, there));
        if (gap == NONE) {
            let sum = reduced(select(child, V({{ neutral }}), place == RADIX - 1u));
            show_node(level, index, sum_of_two(sum, subgroupShuffle(child, RADIX - 1u)));
            return;
        }
        level -= 1u;
        index = index * RADIX + gap;
    }
    show_node(0u, index, tile_total(index));
}

struct Node {
    there: bool,
    v: V,
}

// The sibling that a lane looks at, of the nodes over a tile at a level; neutral where none is in front.
fn sibling(tile: u32, level: u32) -> Node {
    let index = tile >> (BITS * level);
    if (place >= index % RADIX) { return Node(true, V({{ neutral }})); }
    let there = sees_node(level, index / RADIX * RADIX + place);
    return Node(there, found);
}

// What the tiles before one come to; `whole` is what it comes to itself.
fn before_tile(tile: u32, whole: V) -> V {
    show_node(0u, tile, whole);
    var own = whole;
    var ends_node = true;
    var before = V({{ neutral }});
    // All levels are on their way before one is waited for; most are there.
//% for l in range(most_levels)
    let node{{ l }} = sibling(tile, {{ l }}u);
//% endfor
    for (var level = 0u; level < params.levels; level++) {
        var node = node0;
//% for l in range(1, most_levels)
        if (level == {{ l }}u) { node = node{{ l }}; }
//% endfor
        let index = tile >> (BITS * level);
        for (var round = 0u; !subgroupAll(node.there); round++) {
            if (round >= PATIENCE) {
                let gap = subgroupMin(select(place, NONE, node.there));
                make_node(level, index / RADIX * RADIX + gap);
            }
            if (!node.there) { node = sibling(tile, level); }
        }
        let sum = reduced(node.v);
        before = sum_of_two(sum, before);
        own = sum_of_two(sum, own);
        ends_node = ends_node && index % RADIX == RADIX - 1u;
        if (ends_node && level + 1u < params.levels) { show_node(level + 1u, index / RADIX, own); }
    }
    return before;
}

// The number of the next tile.
fn taken(t: u32) -> u32 {
    if (t == 0u) { ticket = atomicAdd(&nodes[0], 1u); }
    return workgroupUniformLoad(&ticket);
}
//% endif

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let i = {{ "taken(t)" if many else "group.x + group.y * 65535u" }};
    if (i >= params.count) { return; }
    let tile = i % params.tiles;
    own_row = i / params.tiles;
    let lane = t % SUBGROUP;
    let own = t / SUBGROUP;
//% if many
    place = lane;
//% endif
    let begin = tile * TILE + own * RUN + lane * {{ per_word }}u;
//% for j in range(each)
    let word{{ j }} = word_at(begin + {{ j }}u * STEP);
//% endfor
//% for j in range(each)
    var sum{{ j }} = total_of_word(word{{ j }});
//% endfor
//% for bit in range(bits)
//% for j in range(each)
    let step{{ bit }}_{{ j }} = subgroupShuffleUp(sum{{ j }}, {{ 2 ** bit }}u);
    sum{{ j }} = select(sum{{ j }}, sum_of_two(step{{ bit }}_{{ j }}, sum{{ j }}), lane >= {{ 2 ** bit }}u);
//% endfor
//% endfor
    var run = V({{ neutral }});
//% for j in range(each)
    let below{{ j }} = subgroupShuffleUp(sum{{ j }}, 1u);
    let start{{ j }} = sum_of_two(run, select(V({{ neutral }}), below{{ j }}, lane > 0u));
    run = sum_of_two(run, subgroupShuffle(sum{{ j }}, SUBGROUP - 1u));
//% endfor
    if (lane == 0u) { sums[own] = run; }
    workgroupBarrier();
    var whole = V({{ neutral }});
    var start = whole;
    for (var g = 0u; g < GROUPS; g++) {
        start = select(start, whole, g == own);
        whole = sum_of_two(whole, sums[g]);
    }
//% if many
    if (own == 0u) {
        let before = before_tile(tile, whole);
        if (lane == 0u) { ahead = before; }
    }
    workgroupBarrier();
    start = sum_of_two(ahead, start);
//% endif
//% for j in range(each)
    put_word(begin + {{ j }}u * STEP, sum_of_two(start, start{{ j }}), word{{ j }});
//% endfor
}
