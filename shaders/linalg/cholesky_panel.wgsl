// A column of blocks of Cholesky's factorisation in one launch: 64 columns less the products of the `k` columns
// left of them, their block on the diagonal factored, the rows below solved for. A workgroup takes 32 of those
// rows, and all of them factor the block again for themselves: what is one pass over 96 rows.
// An invocation holds 8 rows of 4 columns in registers. A step shows four columns to all, in two places by turns,
// so that it has one barrier; each invocation factors their four rows on the diagonal, and solves for the rows
// that it wants: less than three more barriers would take.
//
// A pivot that is not above zero makes its column, and with it all later ones, NaN.
// Memory: a view as in linalg/batch.wgsl, of the rows from the diagonal on and of `k` and the block's columns.
//% if aside
// The factored block goes to `side`, since others still read its place.
//% else
// There are no rows below, and the block is factored in place.
//% endif
// Workgroup memory: 15.9 KB. Limits: 64 columns.
//% set views = ["a", "side"] if aside else ["a"]
//% from "linalg/batch.wgsl" import fields, starts with context

const NB = 64u;
const BELOW = 32u;
const QUADS = 24u;
const LINE = QUADS + 1u;
const SLICE = 32u;
const ACROSS = 16u;
const DOWN = 12u;
const THREADS = ACROSS * DOWN;

// nan: its bits, since WGSL has no such constant. a_quick: rows are the quick axis in memory.
struct Params {
    rows: u32,
    size: u32,
    k: u32,
    groups: u32,
    a_quick: u32,
    nan: u32,
{{ fields() }}}

@group(0) @binding(0) var<storage, read_write> a: array<f32>;
//% if aside
@group(0) @binding(1) var<storage, read_write> side: array<f32>;
//% endif
//% if aside
@group(0) @binding(2) var<uniform> params: Params;
//% else
@group(0) @binding(1) var<uniform> params: Params;
//% endif
{{ starts() }}
var<workgroup> left: array<vec4<f32>, SLICE * LINE>;
var<workgroup> shown: array<vec4<f32>, 2u * 4u * QUADS>;

// Of the view, the row in place i of the workgroup's 96, or one past its end.
fn row_of(i: u32, below: u32) -> u32 {
    if (i < NB) { return select(params.rows, i, i < params.size); }
    return below + i - NB;
}

// Past the ends, the last one: no branch around the load. What comes of it is not stored.
fn element(first: u32, row: u32, c: u32, most: u32) -> f32 {
    return a[first + min(row, params.rows - 1u) * params.a_row + min(c, most - 1u) * params.a_column];
}

// The diagonal's root and its inverse.
fn root_of(pivot: f32) -> vec2<f32> {
    if (pivot > 0.0) { return vec2<f32>(sqrt(pivot), inverseSqrt(pivot)); }
    return vec2<f32>(bitcast<f32>(params.nan));
}

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let block = group.x + group.y * 65535u;
    let index = block / params.groups;
    if (index >= params.batch) { return; }
    let first = a_first(index);
    let below = params.size + block % params.groups * BELOW;
    let tx = t % ACROSS;
    let most = params.k + params.size;
//% for g in range(2)
    let quad{{ g }} = t / ACROSS + {{ g }}u * DOWN;
//% for e in range(4)
    let row{{ g }}{{ e }} = row_of(4u * quad{{ g }} + {{ e }}u, below);
    var v{{ g }}{{ e }} = vec4<f32>();
//% for c in range(4)
    v{{ g }}{{ e }}.{{ "xyzw"[c] }} = element(first, row{{ g }}{{ e }}, params.k + 4u * tx + {{ c }}u, most);
//% endfor
//% endfor
//% endfor
    for (var k0 = 0u; k0 < params.k; k0 += SLICE) {
        workgroupBarrier();
//% for l in range(16)
        let k_{{ l }} = select((t + {{ l }}u * THREADS) % SLICE, (t + {{ l }}u * THREADS) / (4u * QUADS), params.a_quick != 0u);
        let i_{{ l }} = select((t + {{ l }}u * THREADS) / SLICE, (t + {{ l }}u * THREADS) % (4u * QUADS), params.a_quick != 0u);
        let e_{{ l }} = element(first, row_of(i_{{ l }}, below), k0 + k_{{ l }}, params.k);
//% endfor
//% for l in range(16)
        left[k_{{ l }} * LINE + i_{{ l }} / 4u][i_{{ l }} % 4u] = e_{{ l }};
//% endfor
        workgroupBarrier();
        for (var k = 0u; k < SLICE; k++) {
            let y = left[k * LINE + tx];
//% for g in range(2)
            let x{{ g }} = left[k * LINE + quad{{ g }}];
//% for e in range(4)
            v{{ g }}{{ e }} = fma(vec4<f32>(-x{{ g }}.{{ "xyzw"[e] }}), y, v{{ g }}{{ e }});
//% endfor
//% endfor
        }
    }
    for (var q = 0u; 4u * q < params.size; q++) {
        let now = q % 2u * (4u * QUADS);
        if (tx == q) {
//% for g in range(2)
//% for c in range(4)
            shown[now + {{ c }}u * QUADS + quad{{ g }}] = vec4<f32>({% for e in range(4) %}v{{ g }}{{ e }}.{{ "xyzw"[c] }}{{ ", " if not loop.last }}{% endfor %});
//% endfor
//% endfor
        }
        workgroupBarrier();
        // Of the four rows on the diagonal: column c of the factor, whose root is kept apart.
//% for c in range(4)
        var d{{ c }} = shown[now + {{ c }}u * QUADS + q];
//% endfor
//% for c in range(4)
        let root{{ c }} = root_of(d{{ c }}.{{ "xyzw"[c] }});
        d{{ c }} *= root{{ c }}.y;
//% for later in range(c + 1, 4)
        d{{ later }} = fma(vec4<f32>(-d{{ c }}.{{ "xyzw"[later] }}), d{{ c }}, d{{ later }});
//% endfor
//% endfor
//% for name, quad in (("w", "tx"), ("x0", "quad0"), ("x1", "quad1"))
//% for c in range(4)
        var {{ name }}_{{ c }} = shown[now + {{ c }}u * QUADS + {{ quad }}];
//% endfor
//% for c in range(4)
        {{ name }}_{{ c }} *= root{{ c }}.y;
//% for later in range(c + 1, 4)
        {{ name }}_{{ later }} = fma(vec4<f32>(-d{{ c }}.{{ "xyzw"[later] }}), {{ name }}_{{ c }}, {{ name }}_{{ later }});
//% endfor
//% endfor
//% endfor
        if (tx > q) {
//% for c in range(4)
//% for g in range(2)
//% for e in range(4)
            v{{ g }}{{ e }} = fma(vec4<f32>(-x{{ g }}_{{ c }}.{{ "xyzw"[e] }}), w_{{ c }}, v{{ g }}{{ e }});
//% endfor
//% endfor
//% endfor
        } else if (tx == q) {
//% for g in range(2)
//% for e in range(4)
            v{{ g }}{{ e }} = vec4<f32>({% for c in range(4) %}{{ "select(x%d_%d.%s, root%d.x, quad%d == q)" % (g, c, "xyzw"[e], c, g) if e == c else "x%d_%d.%s" % (g, c, "xyzw"[e]) }}{{ ", " if not loop.last }}{% endfor %});
//% endfor
//% endfor
        }
    }
//% if aside
    let side0 = side_first(index);
//% endif
    let shows_block = block % params.groups == 0u;
//% for g in range(2)
//% for e in range(4)
//% for c in range(4)
    {
        let i = 4u * quad{{ g }} + {{ e }}u;
        let j = 4u * tx + {{ c }}u;
        let v = v{{ g }}{{ e }}.{{ "xyzw"[c] }};
        let at = first + row{{ g }}{{ e }} * params.a_row + (params.k + j) * params.a_column;
//% if aside
        if (i >= NB) {
            if (row{{ g }}{{ e }} < params.rows) { a[at] = v; }
        } else if (shows_block) {
            side[side0 + i * params.side_row + j * params.side_column] = select(v, 0.0, j > i);
        }
//% else
        if (i < params.size && j <= i && shows_block) { a[at] = v; }
//% endif
    }
//% endfor
//% endfor
//% endfor
}
