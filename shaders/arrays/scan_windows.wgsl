// What the tiles before a tile of a row come to, looked up by one subgroup. Included by arrays/scan_subgroups.wgsl.
//
// Tiles stand in groups of {{ per_lane * lanes }}. Those of the own group in front of the own one, and of {{ windows - 1 }} before it, are looked at one by
// one, all at once; what older groups come to, tiles behind them have shown. So a tile waits for tiles alone, never
// for a chain of them, and its place fixes the order of all sums (decoupled look-back: Merrill and Garland 2016).
//% if halves == 1
// A node carries its number itself, so that words may arrive in any order: a word, its bits reversed. Devices
//% else
// A node carries its number itself, so that words may arrive in any order: two words of 16 bits, each with a flag. Devices
//% endif
// begin workgroups in their order, but none promises it, nor that another one goes on: who has waited for long makes
// what is missing, from the elements (decoupled fallback: Smith, Levien and Owens, SPAA 2025).
//
// The last workgroup of all, by a count, leaves zeros. A workgroup counts itself with what it found where it showed
// nodes, never NO_NODE, which only the device knows: so its nodes are there before, though atomics are relaxed.
//
// Memory: `nodes` opens with the count, then has for each row its tiles, then its groups; all are zeros before and after.
const RADIX = {{ per_lane }}u * SUBGROUP;
const OLDER = {{ windows - 1 }}u;
const NO_NODE = 2u;

//% include "arrays/scan_patience.wgsl"

//% if halves == 1
alias Node = u32;
//% else
alias Node = vec2<u32>;
//% endif

var<private> found: u32;

fn node_of(v: V) -> Node {
    let bits = bitcast<u32>(v);
//% if halves == 1
    // What is less stands for a NaN; so does this.
    return max(~bits, NO_NODE + 1u);
//% else
    return vec2<u32>(bits << 16u, bits & 0xffff0000u) | vec2<u32>(1u);
//% endif
}

fn number_of_node(node: Node) -> V {
//% if halves == 1
    return bitcast<V>(~node);
//% else
    return bitcast<V>((node.x >> 16u) | (node.y & 0xffff0000u));
//% endif
}

fn is_there(node: Node) -> bool {
//% if halves == 1
    return node != 0u;
//% else
    return (node.x & node.y & 1u) == 1u;
//% endif
}

// Of tiles, and behind them of groups.
fn place_of_node(row: u32, index: u32) -> u32 {
    return 1u + {{ halves }}u * (row * (params.tiles + params.groups) + index);
}

fn node_at(row: u32, index: u32) -> Node {
    let at = place_of_node(row, index);
//% if halves == 1
    return word_of_node(at);
//% else
    return vec2<u32>(word_of_node(at), word_of_node(at + 1u));
//% endif
}

fn latest_node_at(row: u32, index: u32) -> Node {
    let at = place_of_node(row, index);
//% if halves == 1
    return latest_word_of_node(at);
//% else
    return vec2<u32>(latest_word_of_node(at), latest_word_of_node(at + 1u));
//% endif
}

// Whether all lanes see a node: they go on together.
fn all_see(row: u32, index: u32) -> bool { return subgroupAll(is_there(latest_node_at(row, index))); }

// Done by one lane.
fn show_node(row: u32, index: u32, v: V) {
    let at = place_of_node(row, index);
    let node = node_of(v);
//% if halves == 1
    found |= u32(atomicExchange(&nodes[at], node) == NO_NODE);
//% else
    found |= u32(atomicExchange(&nodes[at], node.x) == NO_NODE) | u32(atomicExchange(&nodes[at + 1u], node.y) == NO_NODE);
//% endif
}

// Shows what a tile comes to, as its own workgroup does.
fn make_tile(row: u32, tile: u32, lane: u32) {
    var whole = V({{ neutral }});
    for (var g = 0u; g < GROUPS; g++) {
        let begin = tile * TILE + g * RUN + lane * {{ per_word }}u;
        var run = total_of_word(word_at(row, begin));
        for (var j = 1u; j < {{ each }}u; j++) { run = sum_of_two(run, total_of_word(word_at(row, begin + j * STEP))); }
        whole = sum_of_two(whole, reduced(run));
    }
    if (lane == 0u) { show_node(row, tile, whole); }
}

// Makes the nodes that are missing before a tile, which adds up the first `older` groups.
fn make_nodes(row: u32, tile: u32, older: u32, lane: u32) {
    for (var group = 0u; group * RADIX < tile; group++) {
        if (group < older && all_see(row, params.tiles + group)) { continue; }
        let first = group * RADIX;
        for (var i = first; i < min(first + RADIX, tile); i++) {
            if (!all_see(row, i)) { make_tile(row, i, lane); }
        }
        if (group >= older) { continue; }
        var sum = V({{ neutral }});
        var whole = true;
        for (var k = 0u; k < RADIX; k += SUBGROUP) {
            let node = latest_node_at(row, first + k + lane);
            whole = whole && is_there(node);
            sum = sum_of_two(sum, number_of_node(node));
        }
        sum = reduced(sum);
        if (subgroupAll(whole) && lane == 0u) { show_node(row, params.tiles + group, sum); }
    }
}

//% macro look(at)
            if (!is_there(node)) { node = {{ at }}(row, params.tiles + group); }
//% for w in range(windows)
//% for k in range(per_lane)
            if (!is_there(node{{ w }}_{{ k }})) { node{{ w }}_{{ k }} = {{ at }}(row, i{{ w }}_{{ k }}); }
//% endfor
//% endfor
//% endmacro
// What the tiles before one come to.
fn before_tile(row: u32, tile: u32, lane: u32) -> V {
    let own = tile / RADIX;
    let older = max(own, OLDER) - OLDER;
    let none = node_of(V({{ neutral }}));
//% for w in range(windows)
//% for k in range(per_lane)
    let i{{ w }}_{{ k }} = older * RADIX + {{ w * per_lane + k }}u * SUBGROUP + lane;
    var node{{ w }}_{{ k }} = select(Node(), none, i{{ w }}_{{ k }} >= tile);
//% endfor
//% endfor
    var sum = V({{ neutral }});
    var first = 0u;
    loop {
        let group = first + lane;
        var node = select(Node(), none, group >= older);
        for (var round = 0u; ; round++) {
{{ look("node_at") }}            var there = is_there(node);
//% for w in range(windows)
//% for k in range(per_lane)
            there = there && is_there(node{{ w }}_{{ k }});
//% endfor
//% endfor
            if (subgroupAll(there)) { break; }
            if (round >= PATIENCE) {
                make_nodes(row, tile, older, lane);
{{ look("latest_node_at") }}            }
        }
        sum = sum_of_two(sum, reduced(number_of_node(node)));
        first += SUBGROUP;
        if (first >= older) { break; }
    }
//% for w in range(windows)
    var sum{{ w }} = V({{ neutral }});
//% for k in range(per_lane)
    sum{{ w }} = sum_of_two(sum{{ w }}, number_of_node(node{{ w }}_{{ k }}));
//% endfor
    sum{{ w }} = reduced(sum{{ w }});
    sum = sum_of_two(sum, sum{{ w }});
    // Several show a group, since the first may be late.
    if (older + {{ w + 1 }}u == own && tile % RADIX < 8u && lane == 0u) { show_node(row, params.tiles + older + {{ w }}u, sum{{ w }}); }
//% endfor
    return sum;
}

// The last of all workgroups leaves zeros.
fn leave(lane: u32) {
    var count = 0u;
    if (lane == 0u) { count = atomicAdd(&nodes[0], 1u + found); }
    if (subgroupShuffle(count, 0u) != params.count - 1u) { return; }
    let end = place_of_node(params.count / params.tiles, 0u);
    for (var i = lane; i < end; i += SUBGROUP) { atomicStore(&nodes[i], 0u); }
}
