// Body of kernels that make an image from places, a word an invocation, by
// `element(image, row, column)`, where column counts the elements of a row.
//% if whole
// Rows are whole words: the grid is (words of a row, rows, images), with no division; {{ steps }} row(s) an invocation, so that enough bytes are under way.
//% else
// The place follows from the flat index by division, as rows may end inside of a word.
//% endif
//
// Memory: x is the source, bound at 0; y the result (images, rows, row), in words of
//% if wide
// four elements. Limits: 2^32 elements; 65535 images where the grid has them.
//% else
// four bytes. Limits: 2^32 elements; 65535 images where the grid has them.
//% endif
//% include "image/words.wgsl"
//% set lanes = 4 if wide or target == "u8" else 1

const LANES = {{ lanes }}u;
const CHANNELS = {{ channels }}u;
// What `element` gives: the value of one element, or of the four of a word.
//% if wide
alias F = vec4<f32>;
//% else
alias F = f32;
//% endif

@group(0) @binding(0) var<storage, read> x: array<X>;

// The element `at`, or the four from there on.
fn load(at: u32) -> F {
//% if wide
//% if source == "u8"
    return four_of(x[at >> 2u]);
//% else
    return x[at >> 2u];
//% endif
//% else
//% if source == "u8"
    return byte_of(x[at >> 2u], at);
//% else
    return x[at];
//% endif
//% endif
}
//% if whole

// The word of a row that starts with the element `column`.
fn made(image: u32, row: u32, column: u32) -> Y {
//% if wide
    let v = element(image, row, column);
//% if target == "u8"
    return packed(v);
//% else
    return v;
//% endif
//% elif target == "u8"
    var v = vec4<f32>();
    for (var k = 0u; k < 4u; k++) { v[k] = element(image, row, column + k); }
    return packed(v);
//% else
    return element(image, row, column);
//% endif
}

@compute @workgroup_size(32, 4)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) lane: vec3<u32>,
) {
    let words = params.row / LANES;
    let unit = group.x * 32u + lane.x;
    let row = group.y * {{ 4 * steps }}u + lane.y;
    if (unit >= words || row >= params.rows) { return; }
    let at = (group.z * params.rows + row) * words + unit;
//% for k in range(steps)
    let v{{ k }} = made(group.z, min(row + {{ 4 * k }}u, params.rows - 1u), unit * LANES);
//% endfor
    y[at] = v0;
//% for k in range(1, steps)
    if (row + {{ 4 * k }}u < params.rows) { y[at + {{ 4 * k }}u * words] = v{{ k }}; }
//% endfor
}
//% else

fn element_at(e: u32) -> F {
    let line = e / params.row;
    let image = line / params.rows;
    return element(image, line - image * params.rows, e - line * params.row);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let at = id.x + id.y * (65535u * 64u);
    if (at * LANES >= params.elements) { return; }
//% if wide
    let v = element_at(4u * at);
//% if target == "u8"
    y[at] = packed(v);
//% else
    y[at] = v;
//% endif
//% elif target == "u8"
    // The last word may reach past the last element: it repeats that one.
    var v = vec4<f32>();
    for (var k = 0u; k < 4u; k++) { v[k] = element_at(min(4u * at + k, params.elements - 1u)); }
    y[at] = packed(v);
//% else
    y[at] = element_at(at);
//% endif
}
//% endif
