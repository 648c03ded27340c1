// LU with partial pivoting of a panel of at most {{ width }} columns and {{ rows * threads }} rows, by one workgroup, {{ sub }} columns at a
// time. Their part of U comes first, then each invocation subtracts the products of the columns left of them
//% if lanes
// from its {{ rows }} rows and keeps these in registers. A column takes two barriers: the best pivots of subgroups
// and the two rows that change places, which all then read from workgroup memory. In the panel's other
//% else
// from its {{ rows }} rows and keeps these in registers. A column takes three barriers: the best pivots of invocations, of groups of
// them, and the two rows that change places, which all then read from workgroup memory. In the panel's other
//% endif
// columns, rows change places after all {{ sub }}.
//
// Pivots as in linalg/panel.wgsl.
//% if unit == 4
// Memory: a view as in linalg/batch.wgsl, columns the quick axis, in words of four: starts, steps and extents are multiples of 4; pivots (batch, n).
//% else
// Memory: a view as in linalg/batch.wgsl, columns the quick axis; pivots (batch, n).
//% endif
// Workgroup memory: {{ 4 * width * (width + 3 * sub) + 8 * threads + 512 }} bytes. Limits: width and rows.
//% set quads = sub // 4
//% set views = ["a"]
//% from "linalg/batch.wgsl" import fields, starts with context
//% if lanes
enable subgroups;
//% endif

const THREADS = {{ threads }}u;
const WIDTH = {{ width }}u;
const SUB = {{ sub }}u;
const QUADS = {{ quads }}u;
const UNIT = {{ unit }}u;
//% if lanes
const GROUPS = {{ threads // lanes }}u;
//% else
const GROUPS = 32u;
//% endif
const PLACES = vec4<u32>(0u, 1u, 2u, 3u);
const NONE = 0xffffffffu;
const NAN_KEY = 0x7f800001u;

//% if unit == 4
alias E = vec4<f32>;
//% else
alias E = f32;
//% endif

struct Params {
    rows: u32,
    columns: u32,
    n: u32,
    first_row: u32,
{{ fields() }}}

@group(0) @binding(0) var<storage, read_write> a: array<E>;
@group(0) @binding(1) var<storage, read_write> pivots: array<i32>;
@group(0) @binding(2) var<uniform> params: Params;
{{ starts() }}
//% if not lanes
var<workgroup> found: array<vec2<u32>, THREADS>;
//% endif
var<workgroup> best: array<vec2<u32>, GROUPS>;
var<workgroup> row_of_pivot: array<vec4<f32>, QUADS>;
var<workgroup> row_of_step: array<vec4<f32>, QUADS>;
var<workgroup> corner: array<f32, WIDTH * WIDTH>;
var<workgroup> upper: array<vec4<f32>, WIDTH * QUADS>;
var<workgroup> chosen: array<u32, SUB>;
var<workgroup> places: array<u32, SUB>;
var<workgroup> moving: array<E, 2u * SUB * (WIDTH / UNIT)>;

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

// Four elements from column c on, zeros past the end.
fn quad_at(at: u32, c: u32) -> vec4<f32> {
//% if unit == 4
    if (c >= params.columns) { return vec4<f32>(); }
    return a[(at + c) / 4u];
//% else
    var v = vec4<f32>();
    for (var e = 0u; e < 4u; e++) {
        if (c + e < params.columns) { v[e] = a[at + c + e]; }
    }
    return v;
//% endif
}

fn put_quad(at: u32, c: u32, v: vec4<f32>) {
//% if unit == 4
    if (c < params.columns) { a[(at + c) / 4u] = v; }
//% else
    for (var e = 0u; e < 4u; e++) {
        if (c + e < params.columns) { a[at + c + e] = v[e]; }
    }
//% endif
}

// The row of the best of all invocations' pivots.
fn agreed(own: vec2<u32>, t: u32) -> u32 {
//% if lanes
    let key = subgroupMax(own.x);
    let row = subgroupMin(select(NONE, own.y, own.x == key));
    if (t % {{ lanes }}u == 0u) { best[t / {{ lanes }}u] = vec2<u32>(key, row); }
//% else
    found[t] = own;
    workgroupBarrier();
    if (t < GROUPS) {
        var group_best = own;
        for (var s = t + GROUPS; s < THREADS; s += GROUPS) { group_best = better(group_best, found[s]); }
        best[t] = group_best;
    }
//% endif
    workgroupBarrier();
//% if lanes and threads // lanes <= lanes
    let other = best[min(t % {{ lanes }}u, GROUPS - 1u)];
    let most = subgroupMax(other.x);
    return subgroupMin(select(NONE, other.y, other.x == most));
//% else
    var pivot = best[0];
    for (var s = 1u; s < GROUPS; s++) { pivot = better(pivot, best[s]); }
    return pivot.y;
//% endif
}

// The word q of four rows of `upper` from k on, from which the rows above them are subtracted, solved for.
fn solved_rows(k: u32, q: u32) -> mat4x4<f32> {
    var u = mat4x4<f32>();
    for (var i = 0u; i < 4u; i++) {
        var v = upper[(k + i) * QUADS + q];
        for (var e = 0u; e < i; e++) { v = fma(vec4<f32>(-corner[(k + i) * WIDTH + k + e]), u[e], v); }
        u[i] = v;
    }
    return u;
}

// `upper` becomes U's rows above c0, of the columns from c0 on: what stands there, solved for L's corner.
fn solve_upper(first: u32, c0: u32, t: u32) {
    for (var s = t; s < c0 * (c0 / 4u); s += THREADS) {
        let i = s / (c0 / 4u);
        let c = s % (c0 / 4u) * 4u;
        let v = quad_at(first + i * params.a_row, c);
        for (var e = 0u; e < 4u; e++) { corner[i * WIDTH + c + e] = v[e]; }
    }
    for (var s = t; s < c0 * QUADS; s += THREADS) {
        upper[s] = quad_at(first + s / QUADS * params.a_row, c0 + s % QUADS * 4u);
    }
    for (var k = 0u; k + 4u < c0; k += 4u) {
        workgroupBarrier();
        for (var s = (k + 4u) * QUADS + t; s < c0 * QUADS; s += THREADS) {
            let u = solved_rows(k, s % QUADS);
            let at = s / QUADS * WIDTH + k;
            var v = upper[s];
            for (var e = 0u; e < 4u; e++) { v = fma(vec4<f32>(-corner[at + e]), u[e], v); }
            upper[s] = v;
        }
    }
    workgroupBarrier();
    for (var s = t; s < c0 / 4u * QUADS; s += THREADS) {
        let k = s / QUADS * 4u;
        let u = solved_rows(k, s % QUADS);
        for (var e = 0u; e < 4u; e++) { upper[(k + e) * QUADS + s % QUADS] = u[e]; }
    }
    workgroupBarrier();
    for (var s = t; s < c0 * QUADS; s += THREADS) {
        put_quad(first + s / QUADS * params.a_row, c0 + s % QUADS * 4u, upper[s]);
    }
}

// Where the row that step k chose lies among those that change places.
fn place_of(c0: u32, count: u32, k: u32) -> u32 {
    if (chosen[k] < c0 + count) { return chosen[k] - c0; }
    // A row that was chosen before lies where it lay then.
    for (var s = 0u; s < k; s++) {
        if (chosen[s] == chosen[k]) { return SUB + s; }
    }
    return SUB + k;
}

// The exchanges of the columns from c0 on, made in one of the panel's other units of columns.
fn exchange(first: u32, c0: u32, count: u32, unit: u32) {
    // Past the last one, the last again: loads that wait for nothing.
    for (var k = 0u; k < SUB; k++) {
        let step = min(k, count - 1u);
        moving[k * (WIDTH / UNIT) + unit] = a[(first + (c0 + step) * params.a_row) / UNIT + unit];
        moving[(SUB + k) * (WIDTH / UNIT) + unit] = a[(first + chosen[step] * params.a_row) / UNIT + unit];
    }
    for (var k = 0u; k < count; k++) {
        let other = places[k];
        let v = moving[k * (WIDTH / UNIT) + unit];
        moving[k * (WIDTH / UNIT) + unit] = moving[other * (WIDTH / UNIT) + unit];
        moving[other * (WIDTH / UNIT) + unit] = v;
    }
    for (var k = count; k > 0u; k--) {
        a[(first + chosen[k - 1u] * params.a_row) / UNIT + unit] = moving[(SUB + k - 1u) * (WIDTH / UNIT) + unit];
    }
    for (var k = 0u; k < count; k++) {
        a[(first + (c0 + k) * params.a_row) / UNIT + unit] = moving[k * (WIDTH / UNIT) + unit];
    }
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
//% endfor
    for (var c0 = 0u; c0 < params.columns; c0 += SUB) {
        let count = min(SUB, params.columns - c0);
        storageBarrier();
        solve_upper(first, c0, t);
//% for r in range(rows)
//% for q in range(quads)
        var x{{ r }}_{{ q }} = vec4<f32>();
//% endfor
        if (row{{ r }} >= c0 && row{{ r }} < params.rows) {
//% for q in range(quads)
            x{{ r }}_{{ q }} = quad_at(at{{ r }}, c0 + {{ 4 * q }}u);
//% endfor
        }
//% endfor
        // Four rows at a time, whose words of L fit into registers beside the rows.
//% for some in range(rows) | batch(4)
        for (var k = 0u; k < c0; k += 4u) {
//% for r in some
            var l{{ r }} = vec4<f32>();
            if (row{{ r }} >= c0 && row{{ r }} < params.rows) { l{{ r }} = quad_at(at{{ r }}, k); }
//% endfor
//% for e in range(4)
//% for q in range(quads)
            let u{{ e }}_{{ q }} = upper[(k + {{ e }}u) * QUADS + {{ q }}u];
//% for r in some
            x{{ r }}_{{ q }} = fma(vec4<f32>(-l{{ r }}.{{ "xyzw"[e] }}), u{{ e }}_{{ q }}, x{{ r }}_{{ q }});
//% endfor
//% endfor
//% endfor
        }
//% endfor
        // The column in hand is always in the first word, since the words go round.
        for (var j = 0u; j < SUB; j++) {
            let e = j % 4u;
            if (j < count) {
                let step = c0 + j;
                var mine = vec2<u32>(0u, NONE);
//% for r in range(rows)
                if (row{{ r }} >= step && row{{ r }} < params.rows) {
                    mine = better(mine, vec2<u32>(key_of(part_of(x{{ r }}_0, e)), row{{ r }}));
                }
//% endfor
                let pivot_row = agreed(mine, t);
                if (t == 0u) {
                    pivots[index * params.n + params.first_row + step] = i32(params.first_row + pivot_row);
                    chosen[j] = pivot_row;
                }
//% for r in range(rows)
                if (row{{ r }} == pivot_row) {
//% for q in range(quads)
                    row_of_pivot[{{ q }}] = x{{ r }}_{{ q }};
//% endfor
                }
                if (row{{ r }} == step) {
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
//% for r in range(rows)
                if (row{{ r }} == pivot_row) {
//% for q in range(quads)
                    x{{ r }}_{{ q }} = row_of_step[{{ q }}];
//% endfor
                }
                if (row{{ r }} == step) {
//% for q in range(quads)
                    x{{ r }}_{{ q }} = u{{ q }};
//% endfor
                } else if (row{{ r }} > step) {
                    let factor = part_of(x{{ r }}_0, e) / divisor;
                    let rest = select(x{{ r }}_0, fma(vec4<f32>(-factor), u0, x{{ r }}_0), PLACES > vec4<u32>(e));
                    x{{ r }}_0 = select(rest, vec4<f32>(factor), PLACES == vec4<u32>(e));
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
        if (row{{ r }} >= c0 && row{{ r }} < params.rows) {
//% for q in range(quads)
            put_quad(at{{ r }}, c0 + {{ 4 * q }}u, x{{ r }}_{{ q }});
//% endfor
        }
//% endfor
        if (t < count) { places[t] = place_of(c0, count, t); }
        workgroupBarrier();
        for (var unit = t; unit < (params.columns + UNIT - 1u) / UNIT; unit += THREADS) {
            if (unit * UNIT < c0 || unit * UNIT >= c0 + SUB) { exchange(first, c0, count, unit); }
        }
    }
}
