// Rows exchanged as a panel's pivots say, in the columns beside the panel: row first_row + k with row
// pivots[first_row + k], one after the other. A lane takes a column and keeps the panel's own rows in
// workgroup memory, so that its loads wait for nothing.
//
// Memory: a view as in linalg/batch.wgsl, all rows, columns the quick axis; pivots (batch, n). Of the columns,
// `gap` ones from `gap_first` on are left alone.
// Workgroup memory: 4 * WIDTH bytes a lane. Limits: WIDTH pivots.
//% set views = ["a"]
//% from "linalg/batch.wgsl" import fields, starts with context

const GROUP = {{ group }}u;
const WIDTH = {{ width }}u;

struct Params {
    n: u32,
    columns: u32,
    count: u32,
    first_row: u32,
    gap_first: u32,
    gap: u32,
{{ fields() }}}

@group(0) @binding(0) var<storage, read_write> a: array<f32>;
@group(0) @binding(1) var<storage, read> pivots: array<i32>;
@group(0) @binding(2) var<uniform> params: Params;
{{ starts() }}
var<workgroup> rows: array<f32, WIDTH * GROUP>;

@compute @workgroup_size(GROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let block = group.x + group.y * 65535u;
    let across = (params.columns + GROUP - 1u) / GROUP;
    let index = block / across;
    if (index >= params.batch) { return; }
    let beside = block % across * GROUP + t;
    if (beside >= params.columns) { return; }
    let column = select(beside, beside + params.gap, beside >= params.gap_first);
    let first = a_first(index) + column;
    let top = first + params.first_row * params.a_row;
    let end = params.first_row + params.count;
    for (var k = 0u; k < params.count; k++) { rows[k * GROUP + t] = a[top + k * params.a_row]; }
    for (var k = 0u; k < params.count; k++) {
        let p = u32(pivots[index * params.n + params.first_row + k]);
        let v = rows[k * GROUP + t];
        if (p < end) {
            let other = (p - params.first_row) * GROUP + t;
            rows[k * GROUP + t] = rows[other];
            rows[other] = v;
        } else {
            let other = first + p * params.a_row;
            rows[k * GROUP + t] = a[other];
            a[other] = v;
        }
    }
    for (var k = 0u; k < params.count; k++) { a[top + k * params.a_row] = rows[k * GROUP + t]; }
}
