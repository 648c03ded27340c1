// Scans the last axis on a GPU in one launch: a workgroup takes a tile of 4096 elements, in {{ words }} words of 16
// bytes a lane, which are all read before one is used. Words are summed, the sums scanned in workgroup memory by
// 16 and 16 runs of them, and what the tiles before come to is added (arrays/scan_nodes.wgsl).
//
// Workgroup memory: {{ words + 3 }} KiB. Limits: 2^32 elements.
//% import "arrays/words.wgsl" as typed
//% set neutral = {"add": "0", "mul": "1", "max": "0"}[combine]
//% set parts = 1
//% set bits = 5
//% set across = "1u"
//% include "arrays/scan.wgsl"
//% set per_word = 4 * (4 // words)

struct Params {
    n: u32,
    tiles: u32,
    levels: u32,
    beside: u32,
    count: u32,
}

alias V = {{ acc }};

@group(0) @binding(0) var<storage, read> x: array<{{ typed.wide[kind] if aligned else typed.storage[kind] }}>;
@group(0) @binding(1) var<storage, read_write> y: array<{{ (typed.wide[target] if aligned else target) }}>;
//% if many
@group(0) @binding(2) var<storage, read_write> nodes: array<atomic<u32>>;
//% endif
@group(0) @binding({{ 3 if many else 2 }}) var<uniform> params: Params;

fn sum_of_nodes(a: V, b: V) -> V { return sum_of_two(a, b); }

//% if many
//% include "arrays/scan_nodes.wgsl"
//% else
const LANES = 256u;
var<private> own_row: u32;
//% endif

const TILE = 16u * LANES;
const SIDE = 16u;

var<workgroup> sums: array<V, {{ words }}u * LANES>;
var<workgroup> runs: array<V, LANES + SIDE>;
var<workgroup> heads: array<V, SIDE>;

struct Elements {
//% for q in range(4)
    q{{ q }}: A,
//% endfor
}

// The elements of a lane in a tile, neutral past the end.
fn elements_of(tile: u32, t: u32) -> Elements {
    let row = own_row * params.n;
    let begin = tile * TILE + t * {{ per_word }}u;
//% for j in range(words)
    let e{{ j }} = begin + {{ j * per_word }}u * LANES;
//% if aligned
    let w{{ j }} = x[(row + min(e{{ j }}, params.n - 1u)) / {{ per_word }}u];
//% endif
//% endfor
    var all: Elements;
//% for q in range(4)
//% set j = q * words // 4
//% set c = q % (4 // words)
    let p{{ q }} = vec4<u32>(e{{ j }}) + vec4<u32>({{ 4 * c }}u, {{ 4 * c + 1 }}u, {{ 4 * c + 2 }}u, {{ 4 * c + 3 }}u);
//% if aligned
    let v{{ q }} = {{ typed.quad(kind, "w%d" % j, c) }};
//% else
    let i{{ q }} = vec4<u32>(row) + min(p{{ q }}, vec4<u32>(params.n - 1u));
    let v{{ q }} = {{ typed.joined(kind, typed.at(kind, "x", "i%d.x" % q), typed.at(kind, "x", "i%d.y" % q), typed.at(kind, "x", "i%d.z" % q), typed.at(kind, "x", "i%d.w" % q)) }};
//% endif
    all.q{{ q }} = select(A({{ neutral }}), mapped(v{{ q }}), p{{ q }} < vec4<u32>(params.n));
//% endfor
    return all;
}

fn quad_total(a: A) -> V { return sum_of_two(sum_of_two(sum_of_two(a.x, a.y), a.z), a.w); }

// What a tile comes to; what its words before each come to is in `sums` after a barrier.
fn total_of(all: Elements, t: u32) -> V {
//% for j in range(words)
//% set first = j * (4 // words)
    var word{{ j }} = quad_total(all.q{{ first }});
//% for q in range(first + 1, first + 4 // words)
    word{{ j }} = sum_of_two(word{{ j }}, quad_total(all.q{{ q }}));
//% endfor
    sums[{{ j }}u * LANES + t] = word{{ j }};
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
//% if aligned

fn put(i: u32, {% for c in range(4 // words) %}v{{ c }}: {{ typed.value[kind] }}{{ ", " if not loop.last }}{% endfor %}) {
//% if target == "f16"
    y[i / 8u] = f16x8(pack2x16float(v0.xy), pack2x16float(v0.zw), pack2x16float(v1.xy), pack2x16float(v1.zw));
//% else
//% for c in range(4 // words)
    y[i / 4u + {{ c }}u] = vec4<{{ target }}>(v{{ c }});
//% endfor
//% endif
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
    let before = before_tile(tile, whole, t);
//% for j in range(words)
    start{{ j }} = sum_of_two(before, start{{ j }});
//% endfor
//% endif
    let row = own_row * params.n;
    let begin = tile * TILE + t * {{ per_word }}u;
//% for j in range(words)
    let e{{ j }} = begin + {{ j * per_word }}u * LANES;
    if (e{{ j }} < params.n) {
//% for c in range(4 // words)
//% set m = "all.q%d" % (j * (4 // words) + c)
        let two{{ c }} = sum_of_two({{ m }}.x, {{ m }}.y);
        let three{{ c }} = sum_of_two(two{{ c }}, {{ m }}.z);
        let four{{ c }} = sum_of_two(three{{ c }}, {{ m }}.w);
        let shown{{ c }} = finished(sum_of(A(start{{ j }}), A({{ "V(%s), %s.x, two%d, three%d" % (neutral, m, c, c) if exclusive else "%s.x, two%d, three%d, four%d" % (m, c, c, c) }})));
        start{{ j }} = sum_of_two(start{{ j }}, four{{ c }});
//% if not aligned
        for (var k = 0u; k < 4u; k++) {
            let e = e{{ j }} + {{ 4 * c }}u + k;
            if (e < params.n) { y[row + e] = {{ target }}(shown{{ c }}[k]); }
        }
//% endif
//% endfor
//% if aligned
        // The last word may reach past the last element, into the rest of its grain of memory.
        put(row + e{{ j }}, {% for c in range(4 // words) %}shown{{ c }}{{ ", " if not loop.last }}{% endfor %});
//% endif
    }
//% endfor
}
