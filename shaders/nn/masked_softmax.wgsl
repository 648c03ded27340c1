// softmax of rows of attention scores in place, with a mask: {{ lanes }} lane(s) a row.
//
// A key that a row must not see counts as -infinity; a row that sees none becomes zeros.
// Memory: x is (batch, heads, queries, keys) in f32; the mask {{ mask }}, read with a pitch of its own
// for batch, head and row, so that it may be shared. Limits: 2^32 elements.
//% if subgroups
enable subgroups;
//% endif
//% if mask == "f16"
enable f16;
//% endif

struct Params {
    rows: u32, keys: u32, heads: u32, queries: u32, batch_pitch: u32, head_pitch: u32, row_pitch: u32,
    causal: u32, never: f32,
}

const ROWS = {{ threads // lanes }}u;

@group(0) @binding(0) var<storage, read_write> x: array<f32>;
//% if mask != "none"
@group(0) @binding(1) var<storage, read> mask: array<{{ mask }}>;
//% endif
@group(0) @binding(2) var<uniform> params: Params;

//% include "nn/row_reduce.wgsl"

@compute @workgroup_size({{ threads }})
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let lane = t % LANES;
    let row = (group.x + group.y * 65535u) * ROWS + t / LANES;
    let present = row < params.rows;
    let first = row * params.keys;
    let matrix = row / params.queries;
    let query = row - matrix * params.queries;
    let batch = matrix / params.heads;
    let base = batch * params.batch_pitch + (matrix - batch * params.heads) * params.head_pitch + query * params.row_pitch;
    let all = select(params.keys, min(params.keys, query + 1u), params.causal != 0u);
    let seen = select(0u, all, present);
    var high = -3.4e38;
    for (var i = lane; i < seen; i += LANES) {
//% if mask == "none"
        let v = x[first + i];
//% elif mask in ("f16", "f32")
        let v = x[first + i] + f32(mask[base + i]);
        x[first + i] = v;
//% else
        let v = select(params.never, x[first + i], mask[base + i] != 0{{ mask[0] }});
        x[first + i] = v;
//% endif
        high = max(high, v);
    }
    let top = row_max(high, t, lane);
    var sum = 0.0;
    for (var i = lane; i < seen; i += LANES) { sum += exp(x[first + i] - top); }
    let whole = row_sum(sum, t, lane);
    let scale = select(1.0 / whole, 0.0, whole == 0.0);
    if (!present) { return; }
    for (var i = lane; i < params.keys; i += LANES) {
        x[first + i] = select(0.0, exp(x[first + i] - top) * scale, i < seen);
    }
}
