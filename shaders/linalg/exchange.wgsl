// Rows exchanged as a panel's pivots say, in the columns beside the panel: row first_row + k with row
// pivots[first_row + k], one after the other. A workgroup takes 32 columns: it reads the panel's own rows and all
// chosen ones, finds for each place which row ends there, by going through the exchanges backwards, and writes.
//
// Memory: a view as in linalg/batch.wgsl, all rows, columns the quick axis; pivots (batch, n). Of the columns,
// `gap` ones from `gap_first` on are left alone.
// Workgroup memory: 272 * WIDTH bytes. Limits: WIDTH pivots, of at most 128.
//% set views = ["a"]
//% from "linalg/batch.wgsl" import fields, starts with context

const ACROSS = 32u;
const DOWN = 8u;
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
// Places: the panel's own rows, then the rows chosen; a row chosen twice, or of the panel, has but one of them.
var<workgroup> rows: array<f32, 2u * WIDTH * ACROSS>;
var<workgroup> chosen: array<u32, WIDTH>;
var<workgroup> place_of: array<u32, WIDTH>;
var<workgroup> source: array<u32, 2u * WIDTH>;

@compute @workgroup_size(ACROSS * DOWN)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let block = group.x + group.y * 65535u;
    let across = (params.columns + ACROSS - 1u) / ACROSS;
    let index = block / across;
    if (index >= params.batch) { return; }
    if (t < params.count) {
        chosen[t] = u32(pivots[index * params.n + params.first_row + t]) - params.first_row;
    }
    workgroupBarrier();
    if (t < params.count) {
        let row = chosen[t];
        var place = params.count + t;
        for (var k = 0u; k < t; k++) {
            if (chosen[k] == row) { place = min(place, params.count + k); }
        }
        place_of[t] = select(place, row, row < params.count);
    }
    let lane = t % ACROSS;
    let beside = min(block % across * ACROSS + lane, params.columns - 1u);
    let column = select(beside, beside + params.gap, beside >= params.gap_first);
    let top = a_first(index) + column + params.first_row * params.a_row;
    for (var s = t / ACROSS; s < params.count; s += DOWN) {
        rows[s * ACROSS + lane] = a[top + s * params.a_row];
        rows[(params.count + s) * ACROSS + lane] = a[top + chosen[s] * params.a_row];
    }
    workgroupBarrier();
    if (t < 2u * params.count) {
        var place = t;
        for (var k = params.count; k > 0u; k--) {
            let other = place_of[k - 1u];
            place = select(select(place, k - 1u, place == other), other, place == k - 1u);
        }
        source[t] = place;
    }
    workgroupBarrier();
    if (block % across * ACROSS + lane >= params.columns) { return; }
    for (var s = t / ACROSS; s < params.count; s += DOWN) {
        let other = params.count + s;
        a[top + s * params.a_row] = rows[source[s] * ACROSS + lane];
        if (place_of[s] == other) { a[top + chosen[s] * params.a_row] = rows[source[other] * ACROSS + lane]; }
    }
}
