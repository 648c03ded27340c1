// Transpose through workgroup memory, for GPUs: the last axis of the result, of which neighbours lie
// `inner` elements apart in x, against all the others as one, in blocks of 32 by 32. Lanes read
// neighbours in x and write neighbours in y, each a whole line of memory.
//
// Memory: x is (others / inner, last, inner); y has the rows of `last` elements where the coordinates
// of the others, taken apart in the order of x from the innermost, say.
// Workgroup memory: 32 rows of 33 elements, so that a column meets every bank once.
// Limits: 2^32 elements; a row of 65535 workgroups, then the next.
//% if scalar == "f16"
enable f16;
//% endif

alias S = {{ scalar }};

const SIDE = 32u;
const ROWS = 8u;

struct Params {
    blocks: u32,
    across: u32,
    last: u32,
    others: u32,
    inner: u32,
//% for axis in range(rank - 1)
    extent{{ axis }}: u32,
    stride{{ axis }}: u32,
//% endfor
}

@group(0) @binding(0) var<storage, read> x: array<S>;
@group(0) @binding(1) var<storage, read_write> y: array<S>;
@group(0) @binding(2) var<uniform> params: Params;

var<workgroup> tile: array<S, SIDE * (SIDE + 1u)>;

// Where the row of y begins that belongs to an index of the other axes.
fn row_of(other: u32) -> u32 {
    var rest = other;
    var at = 0u;
//% for axis in range(rank - 1)
    at += rest % params.extent{{ axis }} * params.stride{{ axis }};
    rest /= params.extent{{ axis }};
//% endfor
    return at;
}

@compute @workgroup_size(SIDE, ROWS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
) {
    let block = group.x + group.y * 65535u;
    if (block >= params.blocks) { return; }
    let last0 = block % params.across * SIDE;
    let other0 = block / params.across * SIDE;
    let other = min(other0 + local.x, params.others - 1u);
    let from_other = other / params.inner * params.last * params.inner + other % params.inner;
    for (var i = local.y; i < SIDE; i += ROWS) {
        let last = min(last0 + i, params.last - 1u);
        tile[i * (SIDE + 1u) + local.x] = x[from_other + last * params.inner];
    }
    workgroupBarrier();
    if (last0 + local.x >= params.last) { return; }
    for (var i = local.y; i < min(SIDE, params.others - other0); i += ROWS) {
        y[row_of(other0 + i) + last0 + local.x] = tile[local.x * (SIDE + 1u) + i];
    }
}
