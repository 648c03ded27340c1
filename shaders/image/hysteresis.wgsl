// Canny's hysteresis as connected components by union-find, step `{{ step }}` of three:
// tiles   unites what is connected inside of a tile of 16 by 16 cells, in workgroup memory;
// seams   unites what is connected from tile to tile;
// finish  a kept pixel is an edge where its root is 0.
// Nodes are blocks of 2 by 2 pixels, whose kept pixels are always connected (8-connectivity); a node's
// label is its parent's number + 1, or 0, a root of its own, where its component is known to hold a
// strong pixel. Labels only ever get smaller, so that every loop ends, without the host asking
// whether it has (Komura 2015, doi 10.1016/j.cpc.2015.04.015; blocks: Grana, Borghesani and
// Cucchiara 2010, doi 10.1109/TIP.2010.2044963).
//
// Memory: cells as `ridge.wgsl` makes them (images, down, across), labels four a cell; edges are u8.
//% if step == "tiles"
// Workgroup memory: 4 KiB.
//% else
//
//% endif
//% if step != "finish"
// Limits: 2^32 - 2 blocks; a grid of (tiles, tiles, images).
//% elif whole
// Limits: 2^32 - 2 blocks; a grid of (cells across, cells down, images).
//% else
// Limits: 2^32 - 2 blocks; a flat grid of words.
//% endif

struct Params { images: u32, down: u32, across: u32, rows: u32, row: u32 }

@group(0) @binding(0) var<storage, read> cells: array<u32>;
//% if step == "finish"
@group(0) @binding(1) var<storage, read> labels: array<u32>;
alias u8x4 = u32;
@group(0) @binding(2) var<storage, read_write> edges: array<u8x4>;
@group(0) @binding(3) var<uniform> params: Params;

// Whether node n belongs to a strong pixel.
fn is_edge(n: u32) -> bool {
    var label = labels[n];
    var own = n + 1u;
    while (label != 0u && label != own) {
        own = label;
        label = labels[own - 1u];
    }
    return label == 0u;
}
//% if whole

@compute @workgroup_size(32, 4)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x >= params.across || id.y >= params.down) { return; }
    let at = (id.z * params.down + id.y) * params.across + id.x;
    let kept = cells[at];
    var on = 0u;
//% for k in range(4)
    if ((kept & {{ 51 * 2 ** (8 * (k // 2) + 2 * (k % 2)) }}u) != 0u && is_edge(4u * at + {{ k }}u)) { on |= {{ 51 * 2 ** (8 * (k // 2) + 2 * (k % 2)) }}u; }
//% endfor
    on &= kept;
    let first = (id.z * params.rows + 4u * id.y) * params.across + id.x;
//% for r in range(4)
    if (4u * id.y + {{ r }}u < params.rows) {
        let bits = on >> {{ 4 * r }}u;
        edges[first + {{ r }}u * params.across] = (bits & 1u) | ((bits & 2u) << 7u) | ((bits & 4u) << 14u) | ((bits & 8u) << 21u);
    }
//% endfor
}
//% else

fn edge(e: u32) -> u32 {
    if (e >= params.images * params.rows * params.row) { return 0u; }
    let line = e / params.row;
    let column = e - line * params.row;
    let image = line / params.rows;
    let row = line - image * params.rows;
    let at = (image * params.down + row / 4u) * params.across + column / 4u;
    if (((cells[at] >> (4u * (row % 4u) + column % 4u)) & 1u) == 0u) { return 0u; }
    return select(0u, 1u, is_edge(4u * at + (row & 2u) + (column & 2u) / 2u));
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.x + id.y * (65535u * 64u);
    if (i * 4u >= params.images * params.rows * params.row) { return; }
    edges[i] = edge(4u * i) | (edge(4u * i + 1u) << 8u) | (edge(4u * i + 2u) << 16u) | (edge(4u * i + 3u) << 24u);
}
//% endif
//% else
//% set inside = step == "tiles"
//% if inside
alias u32x4 = vec4<u32>;
@group(0) @binding(1) var<storage, read_write> labels: array<u32x4>;
//% else
@group(0) @binding(1) var<storage, read_write> labels: array<atomic<u32>>;
//% endif
@group(0) @binding(2) var<uniform> params: Params;
//% if inside

var<workgroup> parents: array<atomic<u32>, 1024>;
//% endif
//% set parents = "parents" if inside else "labels"

fn root_of(label: u32) -> u32 {
    var r = label;
    while (r != 0u) {
        let above = atomicLoad(&{{ parents }}[r - 1u]);
        if (above == r) { break; }
        r = above;
    }
    return r;
}

fn unite(first: u32, second: u32) {
    var a = first;
    var b = second;
    loop {
        a = root_of(a);
        b = root_of(b);
        if (a == b) { return; }
        let less = min(a, b);
        let more = max(a, b);
        let old = atomicMin(&{{ parents }}[more - 1u], less);
        if (old == more) { return; }
        a = less;
        b = old;
    }
}

fn cell(image: u32, row: i32, column: i32) -> u32 {
    if (min(row, column) < 0 || u32(row) >= params.down || u32(column) >= params.across) { return 0u; }
    return cells[(image * params.down + u32(row)) * params.across + u32(column)];
}

// Which of a cell's nodes are connected to which others: bit 4 k + d is node k's link to the
// left, above, above on the left, above on the right (d 0 to 3). Of the last two only those that no
// pixel beside makes needless, and none from a strong node to another.
fn links(image: u32, row: i32, column: i32, own: u32) -> u32 {
    let left = cell(image, row, column - 1);
    let right = cell(image, row, column + 1);
    let above = cell(image, row - 1, column);
    let left_above = cell(image, row - 1, column - 1);
    let right_above = cell(image, row - 1, column + 1);
    // Rows with a pixel more on either side, of which the lowest bit is that on the left.
    var upper = ((left_above >> 15u) & 1u) | (((above >> 12u) & 15u) << 1u) | (((right_above >> 12u) & 1u) << 5u);
    var found = 0u;
//% for i in range(2)
    let high{{ i }} = ((left >> {{ 8 * i + 3 }}u) & 1u) | (((own >> {{ 8 * i }}u) & 15u) << 1u) | (((right >> {{ 8 * i }}u) & 1u) << 5u);
    let low{{ i }} = ((left >> {{ 8 * i + 7 }}u) & 1u) | (((own >> {{ 8 * i + 4 }}u) & 15u) << 1u) | (((right >> {{ 8 * i + 4 }}u) & 1u) << 5u);
    let any{{ i }} = high{{ i }} | low{{ i }};
    let beside{{ i }} = any{{ i }} & (any{{ i }} << 1u);
    let over{{ i }} = (high{{ i }} | (high{{ i }} >> 1u)) & (upper | (upper >> 1u));
    let falling{{ i }} = high{{ i }} & (upper << 1u) & ~upper & ~(high{{ i }} << 1u);
    let rising{{ i }} = high{{ i }} & (upper >> 1u) & ~upper & ~(high{{ i }} >> 1u);
//% for j in range(2)
    found |= (((beside{{ i }} >> {{ 2 * j + 1 }}u) & 1u) | (((over{{ i }} >> {{ 2 * j + 1 }}u) & 1u) << 1u) | (((falling{{ i }} >> {{ 2 * j + 1 }}u) & 1u) << 2u) | (((rising{{ i }} >> {{ 2 * j + 2 }}u) & 1u) << 3u)) << {{ 4 * (2 * i + j) }}u;
//% endfor
//% if i == 0
    upper = low0;
//% endif
//% endfor
    // Where links begin and end at strong nodes.
    let begin = select(0u, 0xfu, (own & 0x10000u) != 0u) | select(0u, 0xf0u, (own & 0x20000u) != 0u)
        | select(0u, 0xf00u, (own & 0x40000u) != 0u) | select(0u, 0xf000u, (own & 0x80000u) != 0u);
    let end = select(0u, 0x4210u, (own & 0x10000u) != 0u) | select(0u, 0x2800u, (own & 0x20000u) != 0u)
        | select(0u, 0x1000u, (own & 0x40000u) != 0u)
        | select(0u, 0x0401u, (left & 0x20000u) != 0u) | select(0u, 0x0100u, (left & 0x80000u) != 0u)
        | select(0u, 0x0042u, (above & 0x40000u) != 0u) | select(0u, 0x0028u, (above & 0x80000u) != 0u)
        | select(0u, 0x0004u, (left_above & 0x80000u) != 0u) | select(0u, 0x0080u, (right_above & 0x40000u) != 0u)
        | select(0u, 0x8000u, (right & 0x10000u) != 0u);
    return found & ~(begin & end);
}

// Links that lead to the tile on the left, above, above on the left or right, on the right.
fn crossing(place: vec2<u32>) -> u32 {
    return select(0u, 0x0505u, place.x == 0u) | select(0u, 0x00eeu, place.y == 0u) | select(0u, 0x8080u, place.x == 15u);
}

//% if inside
@compute @workgroup_size(16, 16)
//% else
@compute @workgroup_size(64)
//% endif
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) lane: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
//% if inside
    let place = lane.xy;
//% else
    // Cells above, then those on the left below the first, then those on the right.
    var place = vec2<u32>(index, 0u);
    if (index > 15u) { place = vec2<u32>(0u, index - 15u); }
    if (index > 30u) { place = vec2<u32>(15u, index - 30u); }
    if (index > 45u) { return; }
//% endif
    let id = 16u * group.xy + place;
    let row = i32(id.y);
    let column = i32(id.x);
    let at = (group.z * params.down + id.y) * params.across + id.x;
    let own = cell(group.z, row, column);
//% if inside
//% for k in range(4)
    atomicStore(&parents[4u * index + {{ k }}u], select(4u * index + {{ k + 1 }}u, 0u, (own & {{ 2 ** (16 + k) }}u) != 0u));
//% endfor
    workgroupBarrier();
    var left = 0u;
    if (own != 0u) { left = links(group.z, row, column, own) & ~crossing(place); }
//% else
    if (own == 0u) { return; }
    var left = links(group.z, row, column, own) & crossing(place);
//% endif
    // Where each link leads: nodes two bits each, then cells, whose columns are one less.
    while (left != 0u) {
        let l = firstTrailingBit(left);
        left &= left - 1u;
        let node = (0x653acf9u >> (2u * l)) & 3u;
        let up = (0xeeu >> l) & 1u;
        let on = ((0x95449544u >> (2u * l)) & 3u) - 1u;
//% if inside
        unite(4u * index + (l >> 2u) + 1u, 4u * (index - 16u * up + on) + node + 1u);
//% else
        unite(4u * at + (l >> 2u) + 1u, 4u * (at - params.across * up + on) + node + 1u);
//% endif
    }
//% if inside
    workgroupBarrier();
    if (id.x >= params.across || id.y >= params.down) { return; }
    let tile = at - place.y * params.across - place.x;
    var made: vec4<u32>;
//% for k in range(4)
    {
        let r = root_of(4u * index + {{ k + 1 }}u);
        let other = (r - 1u) >> 2u;
        made.{{ "xyzw"[k] }} = select(4u * (tile + (other >> 4u) * params.across + (other & 15u)) + ((r - 1u) & 3u) + 1u, 0u, r == 0u);
    }
//% endfor
    labels[at] = made;
//% endif
}
//% endif
