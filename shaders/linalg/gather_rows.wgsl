// Rows in the order of a permutation: c[i] = a[order[i]], or c[order[i]] = a[i]; without a, of the unit matrix.
//
// Memory: a and c (batch, n, columns) row-major, a perhaps broadcast (views as in linalg/batch.wgsl); order
// (batch, n) likewise. Limits: 2^32 elements; a row of 65535 workgroups, then the next.
//% set views = ["a", "order", "c"]
//% from "linalg/batch.wgsl" import fields, starts with context

const GROUP = 64u;

struct Params {
    n: u32,
    columns: u32,
    inverse: u32,
{{ fields() }}}

//% if not eye
@group(0) @binding(0) var<storage, read> a: array<f32>;
//% endif
@group(0) @binding(1) var<storage, read> order: array<i32>;
@group(0) @binding(2) var<storage, read_write> c: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;
{{ starts() }}
@compute @workgroup_size(GROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let flat = id.x + id.y * (65535u * GROUP);
    let size = params.n * params.columns;
    let index = flat / size;
    if (index >= params.batch) { return; }
    let i = flat % size / params.columns;
    let j = flat % size % params.columns;
    let other = u32(order[order_first(index) + i]);
    let source = select(other, i, params.inverse != 0u);
    let goal = select(i, other, params.inverse != 0u);
    let at = c_first(index) + goal * params.columns + j;
//% if eye
    c[at] = select(0.0, 1.0, source == j);
//% else
    c[at] = a[a_first(index) + source * params.a_row + j * params.a_column];
//% endif
}
