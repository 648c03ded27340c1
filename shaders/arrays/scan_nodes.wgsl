// What the tiles before a tile come to, in one launch, looked up by a whole workgroup (arrays/scan_tree.wgsl).
// Included by the kernels that scan tiles without subgroups, which have tile_total(tile, t) and, in workgroup
// memory, `sums`: a V for each lane, that nobody needs while a tile is looked up.
//
// Workgroup memory: 4 bytes for each column and number of a node at once.
//% include "arrays/scan_tree.wgsl"

var<workgroup> ticket: u32;
var<workgroup> first_gap: atomic<u32>;
var<workgroup> agreed: u32;
var<workgroup> ahead: array<V, LANES / RADIX>;

fn across() -> u32 { return {{ across }}; }

// The number of the next tile.
fn taken(t: u32) -> u32 {
    if (t == 0u) {
        ticket = atomicAdd(&nodes[0], 1u);
        atomicStore(&first_gap, NONE);
    }
    return workgroupUniformLoad(&ticket);
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
    var sum = sums[first];
//% for s in range(1, 2 ** bits - 1)
    sum = sum_of_nodes(sum, sums[first + {{ s }}u * across()]);
//% endfor
    return sum;
}

// Makes a missing node, or one below it that is missing too.
fn make_node(missing_level: u32, missing_index: u32, t: u32) {
    var level = missing_level;
    var index = missing_index;
    while (level > 0u) {
        if (place < RADIX && own_column < params.beside) {
            let there = sees_latest_node(level - 1u, index * RADIX + place);
            sums[t] = found;
            if (!there) { atomicMin(&first_gap, place); }
        }
        let gap = agreed_gap(t);
        if (gap == NONE) {
            if (place == 0u) {
                show_node(level, index, sum_of_nodes(seen_sum(0u, t), sums[t + (RADIX - 1u) * across()]));
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
                if (round < PATIENCE) {
                    ready = sees_node(level, parent * RADIX + sibling);
                } else {
                    ready = sees_latest_node(level, parent * RADIX + sibling);
                }
                mine = found;
                if (!ready) { atomicMin(&first_gap, place); }
            }
            sums[t] = mine;
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
