// Rows of a table by number. One invocation a word of the result.
//
// An id outside of the table gives a row of NaN, which comes through the uniform: WGSL has no
// constant NaN. A table in parts takes a launch a part: the first writes every row, NaN where the id
// is not its own, and each later one the rows of its own ids.
//% include "arrays/combination/flat.wgsl"

// first, rows: of this part; channels: words in a row.
struct Params { count: u32, first: u32, rows: u32, channels: u32, invalid: f32 }

@group(0) @binding(0) var<storage, read> table: array<W>;
@group(0) @binding(1) var<storage, read> ids: array<i32>;
@group(0) @binding(2) var<storage, read_write> y: array<W>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let index = word_of(id);
    if (index >= params.count) { return; }
    // An id below the part, negative ones too, wraps around to a row beyond it.
    let row = u32(ids[index / params.channels]) - params.first;
    if (row < params.rows) {
        y[index] = table[row * params.channels + index % params.channels];
    } else if (params.first == 0u) {
        y[index] = W(F(params.invalid));
    }
}
