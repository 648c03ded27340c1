// Forward substitution: x = A^-1 x for a lower triangle of at most {{ nb }} rows, in place, {{ columns }} columns a workgroup.
// Upper triangles come as reversed views.
//
//% set held = nb * columns // threads
//% if alone
// Each invocation keeps its column in registers: no barrier, no workgroup memory, for software renderers.
//% else
// The triangle lies in workgroup memory; {{ threads // columns }} invocations share a column, {{ held }} rows each in registers. A step
// shows a solved row to all, in two places by turns, so that it has one barrier. Columns come and go
// through workgroup memory, since their rows may be the quick axis.
//% endif
//
// Memory: views as in linalg/batch.wgsl; A may lie in the buffer of x.
// Workgroup memory: 4 * (NB * (NB + COLUMNS + 2) + 2 * COLUMNS) bytes. Limits: NB rows.
//% set views = ["a", "x"]
//% from "linalg/batch.wgsl" import fields, starts with context

const NB = {{ nb }}u;
const COLUMNS = {{ columns }}u;
const THREADS = {{ threads }}u;

// a_quick, x_quick: rows are the quick axis in memory.
struct Params {
    n: u32,
    columns: u32,
    unit: u32,
    a_quick: u32,
    x_quick: u32,
{{ fields() }}}

//% if not a_in_x
@group(0) @binding(0) var<storage, read> a: array<f32>;
//% endif
@group(0) @binding(1) var<storage, read_write> x: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;
{{ starts() }}
fn place_in_a(first: u32, i: u32, j: u32) -> u32 {
    return first + i * params.a_row + j * params.a_column;
}

fn place_in_x(first: u32, i: u32, c: u32) -> u32 {
    return first + i * params.x_row + c * params.x_column;
}
//% set source = "x" if a_in_x else "a"
//% if alone

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let flat = id.x + id.y * (65535u * THREADS);
    let index = flat / params.columns;
    if (index >= params.batch) { return; }
    let c = flat % params.columns;
    let a0 = a_first(index);
    let x0 = x_first(index);
    var solved = array<f32, NB>();
    for (var i = 0u; i < params.n; i++) {
        var v = x[place_in_x(x0, i, c)];
        for (var k = 0u; k < i; k++) {
            v = fma(-{{ source }}[place_in_a(a0, i, k)], solved[k], v);
        }
        if (params.unit == 0u) { v /= {{ source }}[place_in_a(a0, i, i)]; }
        solved[i] = v;
        x[place_in_x(x0, i, c)] = v;
    }
}
//% else

const PA = NB + 1u;
const PX = COLUMNS + 1u;
const LANES = THREADS / COLUMNS;

var<workgroup> lower: array<f32, NB * PA>;
var<workgroup> part: array<f32, NB * PX>;
var<workgroup> solved: array<f32, 2u * COLUMNS>;

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let block = group.x + group.y * 65535u;
    let across = (params.columns + COLUMNS - 1u) / COLUMNS;
    let index = block / across;
    if (index >= params.batch) { return; }
    let c0 = block % across * COLUMNS;
    let most = min(COLUMNS, params.columns - c0);
    let a0 = a_first(index);
    let x0 = x_first(index);
    for (var e = t; e < NB * NB; e += THREADS) {
        let i = select(e / NB, e % NB, params.a_quick != 0u);
        let j = select(e % NB, e / NB, params.a_quick != 0u);
        if (i < params.n && j <= i) { lower[i * PA + j] = {{ source }}[place_in_a(a0, i, j)]; }
    }
    for (var e = t; e < NB * COLUMNS; e += THREADS) {
        let i = select(e / COLUMNS, e % NB, params.x_quick != 0u);
        let c = select(e % COLUMNS, e / NB, params.x_quick != 0u);
        if (i < params.n && c < most) { part[i * PX + c] = x[place_in_x(x0, i, c0 + c)]; }
    }
    workgroupBarrier();
    let own = t % COLUMNS;
    let r = t / COLUMNS;
//% for s in range(held)
    let i{{ s }} = r + {{ s }}u * LANES;
    var v{{ s }} = part[i{{ s }} * PX + own];
//% endfor
//% for s in range(held)
    for (var q = 0u; q < min(LANES, params.n - min(params.n, {{ s }}u * LANES)); q++) {
        let k = q + {{ s }}u * LANES;
        let now = k % 2u * COLUMNS;
        if (r == q) {
            if (params.unit == 0u) { v{{ s }} /= lower[k * PA + k]; }
            solved[now + own] = v{{ s }};
        }
        workgroupBarrier();
        let v = solved[now + own];
        if (r > q) { v{{ s }} = fma(-lower[i{{ s }} * PA + k], v, v{{ s }}); }
//% for later in range(s + 1, held)
        v{{ later }} = fma(-lower[i{{ later }} * PA + k], v, v{{ later }});
//% endfor
    }
//% endfor
//% for s in range(held)
    part[i{{ s }} * PX + own] = v{{ s }};
//% endfor
    workgroupBarrier();
    for (var e = t; e < NB * COLUMNS; e += THREADS) {
        let i = select(e / COLUMNS, e % NB, params.x_quick != 0u);
        let c = select(e % COLUMNS, e / NB, params.x_quick != 0u);
        if (i < params.n && c < most) { x[place_in_x(x0, i, c0 + c)] = part[i * PX + c]; }
    }
}
//% endif
