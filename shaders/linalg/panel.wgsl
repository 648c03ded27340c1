// LU with partial pivoting of a panel of at most {{ width }} columns, in place; pivots go to `pivots`.
//
//% if alone
// An invocation takes a matrix: no barrier, no workgroup memory, for software renderers.
//% else
// A workgroup takes a matrix, whose rows stay in memory, so that there may be any number of them: what
// panel_registers.wgsl has no registers for. Each column costs a search in a tree and a pass over the rest.
//% endif
// The pivot is the first of the largest size; a NaN counts as the largest. A pivot of zero divides nothing.
//
// Memory: a view as in linalg/batch.wgsl, columns the quick axis; pivots (batch, n) count from the matrix's
// first row, the panel's from `first_row` on.
// Workgroup memory: 8 bytes an invocation and 4 a column. Limits: the width.
//% set views = ["a"]
//% from "linalg/batch.wgsl" import fields, starts with context

const THREADS = {{ threads }}u;
const WIDTH = {{ width }}u;
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
fn key_of(v: f32) -> u32 {
    return min(bitcast<u32>(v) & 0x7fffffffu, NAN_KEY);
}

fn over(v: f32, pivot: f32) -> f32 {
    if (pivot == 0.0) { return v; }
    return v / pivot;
}
//% if alone

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let index = id.x + id.y * (65535u * THREADS);
    if (index >= params.batch) { return; }
    let first = a_first(index);
    var row_of_pivot = array<f32, WIDTH>();
    for (var j = 0u; j < params.columns; j++) {
        var p = j;
        var key = key_of(a[first + j * params.a_row + j]);
        for (var i = j + 1u; i < params.rows; i++) {
            let other = key_of(a[first + i * params.a_row + j]);
            if (other > key) {
                key = other;
                p = i;
            }
        }
        pivots[index * params.n + params.first_row + j] = i32(params.first_row + p);
        for (var c = 0u; c < params.columns; c++) {
            let upper = first + j * params.a_row + c;
            let lower = first + p * params.a_row + c;
            let v = a[lower];
            a[lower] = a[upper];
            a[upper] = v;
            row_of_pivot[c] = v;
        }
        for (var i = j + 1u; i < params.rows; i++) {
            let at = first + i * params.a_row;
            let factor = over(a[at + j], row_of_pivot[j]);
            a[at + j] = factor;
            for (var c = j + 1u; c < params.columns; c++) {
                a[at + c] = fma(-factor, row_of_pivot[c], a[at + c]);
            }
        }
    }
}
//% else

var<workgroup> found: array<vec2<u32>, THREADS>;
var<workgroup> row_of_pivot: array<f32, WIDTH>;

fn better(p: vec2<u32>, q: vec2<u32>) -> vec2<u32> {
    return select(p, q, q.x > p.x || (q.x == p.x && q.y < p.y));
}

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let index = group.x + group.y * 65535u;
    if (index >= params.batch) { return; }
    let first = a_first(index);
    for (var j = 0u; j < params.columns; j++) {
        storageBarrier();
        var best = vec2<u32>(0u, 0xffffffffu);
        for (var i = j + t; i < params.rows; i += THREADS) {
            best = better(best, vec2<u32>(key_of(a[first + i * params.a_row + j]), i));
        }
        found[t] = best;
        for (var step = THREADS / 2u; step > 0u; step /= 2u) {
            workgroupBarrier();
            if (t < step) { found[t] = better(found[t], found[t + step]); }
        }
        workgroupBarrier();
        let p = found[0].y;
        if (t == 0u) { pivots[index * params.n + params.first_row + j] = i32(params.first_row + p); }
        if (t < params.columns) {
            let upper = first + j * params.a_row + t;
            let lower = first + p * params.a_row + t;
            let v = a[lower];
            a[lower] = a[upper];
            a[upper] = v;
            row_of_pivot[t] = v;
        }
        storageBarrier();
        workgroupBarrier();
        for (var i = j + 1u + t; i < params.rows; i += THREADS) {
            let at = first + i * params.a_row;
            let factor = over(a[at + j], row_of_pivot[j]);
            a[at + j] = factor;
            for (var c = j + 1u; c < params.columns; c++) {
                a[at + c] = fma(-factor, row_of_pivot[c], a[at + c]);
            }
        }
    }
}
//% endif
