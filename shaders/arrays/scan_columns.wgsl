// Scans an axis with others behind it on a GPU in one launch: a workgroup takes a tile of {{ rows }} elements of the
//% if width == 4
// axis for each lane that stands below another, and as many columns as lanes stand side by side, in words of four.
//% else
// axis for each lane that stands below another, and as many columns as lanes stand side by side, in single elements.
//% endif
// All are read before one is used; lanes that stand below each other are scanned in workgroup memory (Hillis
// and Steele 1986), and what the tiles before come to is added (arrays/scan_nodes.wgsl).
//
//% if width == 4
// Workgroup memory: 9 KiB. Limits: 2^32 elements.
//% else
// Workgroup memory: 3 KiB. Limits: 2^32 elements.
//% endif
//% import "arrays/words.wgsl" as typed
//% set neutral = {"add": "0", "mul": "1", "max": "0", "custom": identity | default("")}[combine]
//% set parts = width
//% set bits = 3
//% set across = "params.across"
//% include "arrays/scan.wgsl"

// beside: words behind an element of the axis; across: those of a workgroup.
struct Params {
    n: u32,
    tiles: u32,
    levels: u32,
    beside: u32,
    across: u32,
    count: u32,
}

//% if width == 4
alias V = A;
//% else
alias V = {{ acc }};
//% endif

@group(0) @binding(0) var<storage, read> x: array<{{ typed.storage[kind] }}>;
//% if width == 4
@group(0) @binding(1) var<storage, read_write> y: array<{{ typed.storage["parts" if kind == "parts" else target] }}>;
//% elif kind == "parts"
@group(0) @binding(1) var<storage, read_write> y: array<c64x1>;
//% else
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

//% if width == 4
fn sum_of_nodes(a: V, b: V) -> V { return sum_of(a, b); }
//% else
fn sum_of_nodes(a: V, b: V) -> V { return sum_of_two(a, b); }
//% endif

//% if many
//% include "arrays/scan_nodes.wgsl"
//% else
const LANES = 256u;
var<private> own_row: u32;
var<private> own_column: u32;
var<private> place: u32;
//% endif

const ROWS = {{ rows }}u;

var<workgroup> sums: array<V, 2u * LANES>;

struct Elements {
//% for r in range(rows)
    r{{ r }}: V,
//% endfor
}

// The place in x of the first of a lane's elements in a tile.
fn first_of(tile: u32) -> u32 { return (tile * (LANES / params.across) + place) * ROWS; }

// The elements of a lane in a tile, neutral past the end.
fn elements_of(tile: u32) -> Elements {
    let k = first_of(tile);
    let column = own_row * params.n * params.beside + min(own_column, params.beside - 1u);
//% for r in range(rows)
    let at{{ r }} = column + min(k + {{ r }}u, params.n - 1u) * params.beside;
//% if width == 4
    let w{{ r }} = x[at{{ r }}];
//% else
    let w{{ r }} = {{ typed.at(kind, "x", "at%d" % r) }};
//% endif
//% endfor
    var all: Elements;
//% for r in range(rows)
    let m{{ r }} = mapped({{ typed.loaded(kind, "w%d" % r) if width == 4 else "%s(w%d)" % (typed.value[kind], r) }}){{ ".x" if width != 4 }};
    all.r{{ r }} = select(V({{ neutral }}), m{{ r }}, k + {{ r }}u < params.n);
//% endfor
    return all;
}

// What a tile comes to, for each column; `sums` has what its lanes from the first to each come to, from the
// half on that is given back.
fn scanned(all: Elements, t: u32) -> u32 {
    var sum = all.r0;
//% for r in range(1, rows)
    sum = sum_of_nodes(sum, all.r{{ r }});
//% endfor
    var side = 0u;
    sums[t] = sum;
    workgroupBarrier();
    for (var step = params.across; step < LANES; step *= 2u) {
        if (t >= step) { sum = sum_of_nodes(sums[side + t - step], sum); }
        side = LANES - side;
        sums[side + t] = sum;
        workgroupBarrier();
    }
    return side;
}

fn last_of(side: u32, t: u32) -> V { return sums[side + LANES - params.across + t % params.across]; }

fn tile_total(tile: u32, t: u32) -> V {
    let side = scanned(elements_of(tile), t);
    let whole = last_of(side, t);
    workgroupBarrier();
    return whole;
}

fn put(i: u32, v: {{ typed.value[kind] }}) {
//% if width == 4
//% if kind == "parts"
    y[i] = v;
//% else
    y[i] = vec4<{{ target }}>(v);
//% endif
//% elif kind == "parts"
    y[i >> 1u][i & 1u] = v.x;
//% else
    y[i] = {{ target }}(v.x);
//% endif
}

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
    let groups = (params.beside + params.across - 1u) / params.across;
    let tile = i / groups % params.tiles;
    own_row = i / groups / params.tiles;
    own_column = i % groups * params.across + t % params.across;
    place = t / params.across;
    let all = elements_of(tile);
    let side = scanned(all, t);
    var start = V({{ neutral }});
    if (place > 0u) { start = sums[side + t - params.across]; }
//% if many
    let whole = last_of(side, t);
    workgroupBarrier();
    start = sum_of_nodes(before_tile(tile, whole, t), start);
//% endif
    if (own_column >= params.beside) { return; }
    let k = first_of(tile);
    let column = own_row * params.n * params.beside + own_column;
//% for r in range(rows)
    let next{{ r }} = sum_of_nodes(start, all.r{{ r }});
    if (k + {{ r }}u < params.n) {
//% if exclusive
        put(column + (k + {{ r }}u) * params.beside, finished(A(start)));
//% else
        put(column + (k + {{ r }}u) * params.beside, finished(A(next{{ r }})));
//% endif
    }
    start = next{{ r }};
//% endfor
}
