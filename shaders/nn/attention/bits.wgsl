// The bits of a mask: 1 where an element is not 0, 32 elements of a row a word, the first lowest.
//
// Layout: x ({{ scalar }}) in rows of `keys`, y in rows of `words`; what a row's last word has to spare is 0.
// Limits: none. Workgroups of 64 invocations, a word each; the grid is flat.
struct Params {
    rows: u32,
    keys: u32,
    words: u32,
}

@group(0) @binding(0) var<storage, read> x: array<{{ scalar }}>;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let at = id.x + id.y * (65535u * 64u);
    if (at >= params.rows * params.words) { return; }
    let first = at % params.words * 32u;
    let row = at / params.words * params.keys + first;
    let count = min(params.keys - first, 32u);
    var bits = 0u;
    for (var i = 0u; i < count; i++) { bits |= select(0u, 1u << i, x[row + i] != {{ scalar }}()); }
    y[at] = bits;
}
