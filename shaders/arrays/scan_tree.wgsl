// The tree of what tiles come to, in memory. Included by the kernels that scan tiles.
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
// node, and sum_of_nodes.
const BITS = {{ bits }}u;
const RADIX = 1u << BITS;
const LANES = 256u;
const NONE = 0xffffffffu;

//% include "arrays/scan_patience.wgsl"

// The own row of tiles and the own column beside; of that column a lane looks at the sibling `place`.
var<private> own_row: u32;
var<private> own_column: u32;
var<private> place: u32;
var<private> found: V;

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
//% if parts == 4
    let bits = bitcast<vec4<u32>>(v);
//% else
    let bits = bitcast<u32>(v);
//% endif
//% for c in range(parts)
//% set own = "bits." ~ "xyzw"[c] if parts == 4 else "bits"
    atomicStore(&nodes[at + {{ 2 * c }}u * params.beside], ({{ own }} << 16u) | 1u);
    atomicStore(&nodes[at + {{ 2 * c + 1 }}u * params.beside], ({{ own }} & 0xffff0000u) | 1u);
//% endfor
}

//% macro seen(look)
//% for c in range(parts)
    let low{{ c }} = {{ look }}(at + {{ 2 * c }}u * params.beside);
    let high{{ c }} = {{ look }}(at + {{ 2 * c + 1 }}u * params.beside);
    let bits{{ c }} = (low{{ c }} >> 16u) | (high{{ c }} & 0xffff0000u);
//% endfor
//% if parts == 4
    found = bitcast<V>(vec4<u32>(bits0, bits1, bits2, bits3));
//% else
    found = bitcast<V>(bits0);
//% endif
    return ({% for c in range(parts) %}low{{ c }} & high{{ c }} & {% endfor %}1u) == 1u;
//% endmacro
// Whether a node is there; then it is in `found`.
fn sees_node(level: u32, index: u32) -> bool {
    let at = node_at(level, index);
{{ seen("word_of_node") }}}

// The same, past any cache.
fn sees_latest_node(level: u32, index: u32) -> bool {
    let at = node_at(level, index);
{{ seen("latest_word_of_node") }}}
