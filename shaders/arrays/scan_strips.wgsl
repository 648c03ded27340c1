// Scans an axis with many others behind it on a GPU with subgroups of {{ lanes }} lanes: a workgroup of {{ workgroup }} takes a strip of
// {{ across }} words of four and walks down, {{ workgroup // across * rows }} elements of the axis at a time, {{ rows }} for a lane. The words of the next step are
// on their way while those of this one are scanned: in a lane, from lane to lane, and subgroups meet in workgroup
// memory, whose two halves take turns, so that a step has one barrier. Nothing is looked up elsewhere.
//
// Workgroup memory: {{ 32 * workgroup // lanes * across / 1024 }} KiB. Limits: 2^32 elements.
enable subgroups;
diagnostic(off, subgroup_uniformity);
//% import "arrays/words.wgsl" as typed
//% set neutral = {"add": "0", "mul": "1", "max": "0", "custom": identity | default("")}[combine]
//% set steps = (1, 2, 4, 8, 16, 32, 64)
//% include "arrays/scan.wgsl"

// beside: words behind an element of the axis.
struct Params {
    n: u32,
    beside: u32,
    count: u32,
}

@group(0) @binding(0) var<storage, read> x: array<{{ typed.storage[kind] }}>;
@group(0) @binding(1) var<storage, read_write> y: array<{{ typed.storage["parts" if kind == "parts" else target] }}>;
@group(0) @binding(2) var<uniform> params: Params;

const LANES = {{ workgroup }}u;
const SUBGROUP = {{ lanes }}u;
const GROUPS = LANES / SUBGROUP;
const ACROSS = {{ across }}u;
const ROWS = {{ rows }}u;
const STEP = LANES / ACROSS * ROWS;

var<workgroup> sums: array<A, 2u * GROUPS * ACROSS>;

// An element of the axis as a number, neutral past the end.
fn number_at(k: u32, word: {{ typed.storage[kind] }}) -> A {
    return select(A({{ neutral }}), mapped({{ typed.loaded(kind, "word") }}), k < params.n);
}

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let i = group.x + group.y * 65535u;
    if (i >= params.count) { return; }
    let strips = (params.beside + ACROSS - 1u) / ACROSS;
    let lane = t % SUBGROUP;
    let own = t / SUBGROUP;
    let across = t % ACROSS;
    let column = i % strips * ACROSS + across;
    let base = i / strips * params.n * params.beside + min(column, params.beside - 1u);
    var k = t / ACROSS * ROWS;
//% for r in range(rows)
    var word{{ r }} = x[base + min(k + {{ r }}u, params.n - 1u) * params.beside];
//% endfor
    var carry = A({{ neutral }});
    var side = 0u;
    for (var begin = 0u; begin < params.n; begin += STEP) {
//% for r in range(rows)
        let next{{ r }} = x[base + min(k + STEP + {{ r }}u, params.n - 1u) * params.beside];
//% endfor
//% for r in range(rows)
        let v{{ r }} = number_at(k + {{ r }}u, word{{ r }});
//% endfor
        var sum = v0;
//% for r in range(1, rows)
        sum = sum_of(sum, v{{ r }});
//% endfor
//% for step in steps if across <= step < lanes
        let step{{ step }} = subgroupShuffleUp(sum, {{ step }}u);
        sum = select(sum, sum_of(step{{ step }}, sum), lane >= {{ step }}u);
//% endfor
        if (lane >= SUBGROUP - ACROSS) { sums[side + own * ACROSS + across] = sum; }
        workgroupBarrier();
        var whole = A({{ neutral }});
        var start = whole;
        for (var g = 0u; g < GROUPS; g++) {
            start = select(start, whole, g == own);
            whole = sum_of(whole, sums[side + g * ACROSS + across]);
        }
        side = GROUPS * ACROSS - side;
        let above = subgroupShuffleUp(sum, ACROSS);
        start = sum_of(sum_of(carry, start), select(A({{ neutral }}), above, lane >= ACROSS));
        carry = sum_of(carry, whole);
//% for r in range(rows)
        let sum{{ r }} = sum_of(start, v{{ r }});
        if (k + {{ r }}u < params.n && column < params.beside) {
//% if exclusive
            let shown = finished(start);
//% else
            let shown = finished(sum{{ r }});
//% endif
//% if kind == "parts"
            y[base + (k + {{ r }}u) * params.beside] = shown;
//% else
            y[base + (k + {{ r }}u) * params.beside] = vec4<{{ target }}>(shown);
//% endif
        }
        start = sum{{ r }};
//% endfor
//% for r in range(rows)
        word{{ r }} = next{{ r }};
//% endfor
        k += STEP;
    }
}
