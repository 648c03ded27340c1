// LU with partial pivoting of a panel of at most {{ width }} columns and {{ rows * threads }} rows, for GPUs: an invocation keeps
// {{ rows }} rows in registers. A column takes three barriers: the invocations' best pivots, the best of 32
// groups of them, and the two rows that change places, which all then read from workgroup memory.
//
// Pivots as in linalg/panel.wgsl.
// Memory: a view as in linalg/batch.wgsl, columns the quick axis; pivots (batch, n).
// Workgroup memory: 8 bytes an invocation, 256 more and 8 a column. Limits: width (a multiple of 4), rows.
//% set quads = width // 4
//% set views = ["a"]
//% from "linalg/batch.wgsl" import fields, starts with context

const THREADS = {{ threads }}u;
const WIDTH = {{ width }}u;
const QUADS = WIDTH / 4u;
const GROUPS = 32u;
const PLACES = vec4<u32>(0u, 1u, 2u, 3u);
const NONE = 0xffffffffu;
const NAN_KEY = 0x7f800001u;

struct Params {
    rows: u32,
    columns: u32,
    n: u32,
    first_row: u32,
{{ fields() }}}

@group(0) @binding(0) var<storage, read_write> a: array<f32>;
@group(0) @binding(1) var<storage, read_write> pivots: array<i32>;
@group(0) @binding(2) var<uniform> params: Params;
{{ starts() }}
var<workgroup> found: array<vec2<u32>, THREADS>;
var<workgroup> best: array<vec2<u32>, GROUPS>;
var<workgroup> row_of_pivot: array<vec4<f32>, WIDTH / 4u>;
var<workgroup> row_of_step: array<vec4<f32>, WIDTH / 4u>;

fn key_of(v: f32) -> u32 {
    return min(bitcast<u32>(v) & 0x7fffffffu, NAN_KEY);
}

// One of four, by selection: an index that varies would put registers into memory.
fn part_of(v: vec4<f32>, e: u32) -> f32 {
    return select(select(v.x, v.y, e == 1u), select(v.z, v.w, e == 3u), e > 1u);
}

fn better(p: vec2<u32>, q: vec2<u32>) -> vec2<u32> {
    return select(p, q, q.x > p.x || (q.x == p.x && q.y < p.y));
}

// Columns from c on of a row, zeros past the end.
fn row_part(at: u32, row: u32, c: u32) -> vec4<f32> {
    var v = vec4<f32>();
    if (row >= params.rows) { return v; }
    for (var e = 0u; e < 4u; e++) {
        if (c + e < params.columns) { v[e] = a[at + e]; }
    }
    return v;
}

// The row of the best of all invocations' pivots.
fn agreed(own: vec2<u32>, t: u32) -> u32 {
    found[t] = own;
    workgroupBarrier();
    if (t < GROUPS) {
        var group_best = own;
        for (var s = t + GROUPS; s < THREADS; s += GROUPS) { group_best = better(group_best, found[s]); }
        best[t] = group_best;
    }
    workgroupBarrier();
    var pivot = best[0];
    for (var s = 1u; s < GROUPS; s++) { pivot = better(pivot, best[s]); }
    return pivot.y;
}

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let index = group.x + group.y * 65535u;
    if (index >= params.batch) { return; }
    let first = a_first(index);
//% for r in range(rows)
    let row{{ r }} = t + {{ r * threads }}u;
    let at{{ r }} = first + row{{ r }} * params.a_row;
//% for q in range(quads)
    var x{{ r }}_{{ q }} = row_part(at{{ r }} + {{ 4 * q }}u, row{{ r }}, {{ 4 * q }}u);
//% endfor
//% endfor
    // The column in hand is always in the first word, since the words go round.
    for (var j = 0u; j < 4u * QUADS; j++) {
        let e = j % 4u;
        if (j < params.columns) {
            var own = vec2<u32>(0u, NONE);
//% for r in range(rows)
            if (row{{ r }} >= j && row{{ r }} < params.rows) {
                own = better(own, vec2<u32>(key_of(part_of(x{{ r }}_0, e)), row{{ r }}));
            }
//% endfor
            let p = agreed(own, t);
            if (t == 0u) { pivots[index * params.n + params.first_row + j] = i32(params.first_row + p); }
//% for r in range(rows)
            if (row{{ r }} == p) {
//% for q in range(quads)
                row_of_pivot[{{ q }}] = x{{ r }}_{{ q }};
//% endfor
            }
            if (row{{ r }} == j) {
//% for q in range(quads)
                row_of_step[{{ q }}] = x{{ r }}_{{ q }};
//% endfor
            }
//% endfor
            workgroupBarrier();
//% for q in range(quads)
            let u{{ q }} = row_of_pivot[{{ q }}];
//% endfor
            let pivot = part_of(u0, e);
            let divisor = select(pivot, 1.0, pivot == 0.0);
            // Of the pivot's row, what lies right of the pivot.
            let later = select(vec4<f32>(), u0, PLACES > vec4<u32>(e));
//% for r in range(rows)
            if (row{{ r }} == p) {
//% for q in range(quads)
                x{{ r }}_{{ q }} = row_of_step[{{ q }}];
//% endfor
            }
            if (row{{ r }} == j) {
//% for q in range(quads)
                x{{ r }}_{{ q }} = u{{ q }};
//% endfor
            } else if (row{{ r }} > j) {
                let factor = part_of(x{{ r }}_0, e) / divisor;
                x{{ r }}_0 = select(fma(vec4<f32>(-factor), later, x{{ r }}_0), vec4<f32>(factor), PLACES == vec4<u32>(e));
//% for q in range(1, quads)
                if (j / 4u + {{ q }}u < QUADS) { x{{ r }}_{{ q }} = fma(vec4<f32>(-factor), u{{ q }}, x{{ r }}_{{ q }}); }
//% endfor
            }
//% endfor
        }
        if (e == 3u) {
//% for r in range(rows)
            let first{{ r }} = x{{ r }}_0;
//% for q in range(1, quads)
            x{{ r }}_{{ q - 1 }} = x{{ r }}_{{ q }};
//% endfor
            x{{ r }}_{{ quads - 1 }} = first{{ r }};
//% endfor
        }
    }
//% for r in range(rows)
    if (row{{ r }} < params.rows) {
        let row = array<vec4<f32>, {{ quads }}>({% for q in range(quads) %}x{{ r }}_{{ q }}, {% endfor %});
        for (var c = 0u; c < params.columns; c++) { a[at{{ r }} + c] = row[c / 4u][c % 4u]; }
    }
//% endfor
}
