// What the tiles before a tile come to, in one launch: decoupled look-back over a tree. Included by the
// kernels that scan tiles.
//
// A tile shows what it comes to, as a node of the lowest level; who is last of {{ 2 ** bits }} nodes side by side
// shows what they come to together, one level higher. All before a tile is, at each level, the nodes in front
// of its own under the same parent: a sum whose order the tile's place fixes, whoever came first, and no chain
// of tiles. A node is two words of 16 bits, each with a flag, so that words may arrive in any order
// (decoupled look-back: Merrill and Garland 2016). Tiles are taken by ticket; as no device promises that
// another workgroup goes on, who has waited for long makes the missing node itself, from the tile's elements
// (decoupled fallback: Smith, Levien and Owens, SPAA 2025).
//
// Memory: `nodes` opens with the ticket, the rest begins as zeros: for each row of tiles the tree's levels from
// the lowest, a node {{ 2 * parts }} words for each of `beside`. The kernel that includes this has V, the numbers of a
// node, and tile_total(tile, t). Workgroup memory: 4 bytes an invocation for each number of a node.
const BITS = {{ bits }}u;
const RADIX = 1u << BITS;
const LANES = 256u;
const NONE = 0xffffffffu;
// Looks at a missing node before it is made: some 50 microseconds, far above what one in work takes.
const PATIENCE = 64u;

var<workgroup> ticket: u32;
var<workgroup> first_gap: atomic<u32>;
var<workgroup> agreed: u32;
var<workgroup> seen: array<V, LANES>;
var<workgroup> ahead: array<V, LANES / RADIX>;

// The own row of tiles and the own column beside; of that column a lane looks at the sibling `place`.
var<private> own_row: u32;
var<private> own_column: u32;
var<private> place: u32;
var<private> found: V;

fn across() -> u32 { return {{ across }}; }

// The number of the next tile.
fn taken(t: u32) -> u32 {
    if (t == 0u) {
        ticket = atomicAdd(&nodes[0], 1u);
        atomicStore(&first_gap, NONE);
    }
    return workgroupUniformLoad(&ticket);
}

fn node_at(level: u32, index: u32) -> u32 {
    var in_row = 0u;
    var before = 0u;
    for (var l = 0u; l < params.levels; l++) {
        before += select(0u, params.tiles >> (BITS * l), l < level);
        in_row += params.tiles >> (BITS * l);
    }
    return 1u + (own_row * in_row + before + index) * {{ 2 * parts }}u * params.beside + own_column;
}

fn show_node(level: u32, index: u32, v: V) {
    if (place != 0u || own_column >= params.beside) { return; }
    let at = node_at(level, index);
    let bits = bitcast<{{ "vec4<u32>" if parts == 4 else "u32" }}>(v);
//% for c in range(parts)
//% set own = "bits." ~ "xyzw"[c] if parts == 4 else "bits"
    atomicStore(&nodes[at + {{ 2 * c }}u * params.beside], ({{ own }} << 16u) | 1u);
    atomicStore(&nodes[at + {{ 2 * c + 1 }}u * params.beside], ({{ own }} & 0xffff0000u) | 1u);
//% endfor
}

// Whether a node is there; then it is in `found`.
fn sees_node(level: u32, index: u32) -> bool {
    let at = node_at(level, index);
//% for c in range(parts)
    let low{{ c }} = atomicLoad(&nodes[at + {{ 2 * c }}u * params.beside]);
    let high{{ c }} = atomicLoad(&nodes[at + {{ 2 * c + 1 }}u * params.beside]);
    let bits{{ c }} = (low{{ c }} >> 16u) | (high{{ c }} & 0xffff0000u);
//% endfor
    found = bitcast<V>({{ "vec4<u32>(bits0, bits1, bits2, bits3)" if parts == 4 else "bits0" }});
    return ({% for c in range(parts) %}low{{ c }} & high{{ c }} & {% endfor %}1u) == 1u;
}

// The least of the places that lanes put into `first_gap`, or NONE.
fn agreed_gap(t: u32) -> u32 {
    workgroupBarrier();
    if (t == 0u) {
        agreed = atomicLoad(&first_gap);
        atomicStore(&first_gap, NONE);
    }
    return workgroupUniformLoad(&agreed);
}

// The own column's nodes seen at the places of a level, all but the last, one after the other.
fn seen_sum(level: u32, t: u32) -> V {
    let first = level * RADIX * across() + t % across();
    var sum = seen[first];
//% for s in range(1, 2 ** bits - 1)
    sum = sum_of_nodes(sum, seen[first + {{ s }}u * across()]);
//% endfor
    return sum;
}

// Makes a missing node, or one below it that is missing too.
fn make_node(missing_level: u32, missing_index: u32, t: u32) {
    var level = missing_level;
    var index = missing_index;
    while (level > 0u) {
        if (place < RADIX && own_column < params.beside) {
            let there = sees_node(level - 1u, index * RADIX + place);
            seen[t] = found;
            if (!there) { atomicMin(&first_gap, place); }
        }
        let gap = agreed_gap(t);
        if (gap == NONE) {
            if (place == 0u) {
                show_node(level, index, sum_of_nodes(seen_sum(0u, t), seen[t + (RADIX - 1u) * across()]));
            }
            return;
        }
        level -= 1u;
        index = index * RADIX + gap;
    }
    show_node(0u, index, tile_total(index, t));
}

// What the tiles before one come to; `whole` is what it comes to itself.
fn before_tile(tile: u32, whole: V, t: u32) -> V {
    let at_once = LANES / RADIX / across();
    let sibling = place % RADIX;
    show_node(0u, tile, whole);
    var own = whole;
    var ends_node = true;
    var before = V({{ neutral }});
    for (var base = 0u; base < params.levels; base += at_once) {
        let level = min(base + place / RADIX, params.levels - 1u);
        let parent = (tile >> (BITS * level)) / RADIX;
        var ready = base + place / RADIX > level || sibling >= (tile >> (BITS * level)) % RADIX;
        ready = ready || own_column >= params.beside;
        var mine = V({{ neutral }});
        var known = base;
        for (var round = 0u; known < min(base + at_once, params.levels); round++) {
            if (!ready) {
                ready = sees_node(level, parent * RADIX + sibling);
                mine = found;
                if (!ready) { atomicMin(&first_gap, place); }
            }
            seen[t] = mine;
            let gap = agreed_gap(t);
            let until = min(base + min(gap / RADIX, at_once), params.levels);
            for (; known < until; known++) {
                let digit = (tile >> (BITS * known)) % RADIX;
                if (place == 0u && digit > 0u) {
                    let sum = seen_sum(known - base, t);
                    before = sum_of_nodes(sum, before);
                    own = sum_of_nodes(sum, own);
                }
                ends_node = ends_node && digit == RADIX - 1u;
                if (ends_node && known + 1u < params.levels) {
                    show_node(known + 1u, (tile >> (BITS * known)) / RADIX, own);
                }
            }
            workgroupBarrier();
            if (gap != NONE && round >= PATIENCE) {
                let low = tile >> (BITS * known);
                make_node(known, low / RADIX * RADIX + gap % RADIX, t);
                workgroupBarrier();
            }
        }
    }
    if (place == 0u) { ahead[t] = before; }
    workgroupBarrier();
    return ahead[t % across()];
}
