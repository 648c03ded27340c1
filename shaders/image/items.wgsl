//% if stepped
// Moving items of {{ bytes }} bytes: item (r, c) of the result is item (r0 + dr r, c0 + dc c) of the source.
//% else
// Moving items of {{ bytes }} bytes: item (r, c) of the result is item (rows[r], columns[c]) of the source, or the fill where one is -1.
//% endif
// A pixel is one item or several; where neighbours stay neighbours an item is as wide as rows allow,
// its words in the order {{ order }}.
//% if whole
// The grid is (items of a row, rows, images), with no division; {{ steps }} row(s) an invocation, so that enough bytes are under way.
//% else
// The place follows from the flat index by division.
//% endif
//
// Memory: x (images, x_rows, x_row) and y (images, rows, row) in items of {{ scalar }}.
// Limits: 2^32 items.
//% if scalar == "u8"
//% set word = {4: "u32", 8: "vec2<u32>", 16: "vec4<u32>"}[bytes]
alias u8x{{ bytes }} = {{ word }};
alias W = u8x{{ bytes }};
//% else
alias W = {{ {4: "f32", 8: "vec2<f32>", 16: "vec4<f32>"}[bytes] }};
//% endif

struct Params {
    count: u32,
    rows: u32,
    row: u32,
    x_rows: u32,
    x_row: u32,
//% if stepped
    r0: i32,
    dr: i32,
    c0: i32,
    dc: i32,
//% else
//% if scalar == "u8"
    fill: u32,
//% else
    fill: f32,
//% endif
//% endif
}

@group(0) @binding(0) var<storage, read> x: array<W>;
//% if not stepped
@group(0) @binding(1) var<storage, read> rows: array<i32>;
@group(0) @binding(2) var<storage, read> columns: array<i32>;
//% endif
@group(0) @binding(3) var<storage, read_write> y: array<W>;
@group(0) @binding(4) var<uniform> params: Params;

fn item(image: u32, row: u32, column: u32) -> W {
//% if stepped
    let r = params.r0 + params.dr * i32(row);
    let c = params.c0 + params.dc * i32(column);
//% else
    let r = rows[row];
    let c = columns[column];
    if (min(r, c) < 0) { return W(params.fill); }
//% endif
//% if order == "xyzw"[:bytes // 4]
    return x[(image * params.x_rows + u32(r)) * params.x_row + u32(c)];
//% else
    return x[(image * params.x_rows + u32(r)) * params.x_row + u32(c)]{{ "." + order }};
//% endif
}
//% if whole

@compute @workgroup_size(32, 4)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) lane: vec3<u32>,
) {
    let column = group.x * 32u + lane.x;
    let row = group.y * {{ 4 * steps }}u + lane.y;
    if (column >= params.row || row >= params.rows) { return; }
    let at = (group.z * params.rows + row) * params.row + column;
//% for k in range(steps)
    let v{{ k }} = item(group.z, min(row + {{ 4 * k }}u, params.rows - 1u), column);
//% endfor
    y[at] = v0;
//% for k in range(1, steps)
    if (row + {{ 4 * k }}u < params.rows) { y[at + {{ 4 * k }}u * params.row] = v{{ k }}; }
//% endfor
}
//% else

@compute @workgroup_size(128)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let at = id.x + id.y * (65535u * 128u);
    if (at >= params.count) { return; }
    let line = at / params.row;
    let image = line / params.rows;
    y[at] = item(image, line - image * params.rows, at - line * params.row);
}
//% endif
