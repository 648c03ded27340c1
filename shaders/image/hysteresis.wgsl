// Canny's hysteresis as connected components by union-find, step `{{ step }}` of four:
// start   a weak pixel (thin > 0) is the root of itself;
// join    each is united with its weak neighbours above and to the left (8-connectivity);
// mark    a strong pixel marks its root;
// finish  a weak pixel is an edge where its root is marked.
// Roots only ever get smaller and a root is a component's least index, so that every loop ends,
// without the host asking whether it has (Komura 2015, doi 10.1016/j.cpc.2015.04.015).
//
// Memory: thin, roots and marks are one word a pixel of (images, rows, row); edges are u8.
// Limits: 2^32 - 1 pixels.

struct Params { count: u32, rows: u32, row: u32, high: f32 }

@group(0) @binding(0) var<storage, read> thin: array<f32>;
@group(0) @binding(1) var<storage, read_write> roots: array<{{ "atomic<u32>" if step in ("join", "mark") else "u32" }}>;
//% if step in ("start", "mark", "finish")
@group(0) @binding(2) var<storage, read_write> marks: array<u32>;
//% endif
//% if step == "finish"
alias u8x4 = u32;
@group(0) @binding(3) var<storage, read_write> edges: array<u8x4>;
//% endif
@group(0) @binding(4) var<uniform> params: Params;
//% if step in ("join", "mark")

fn root_of(pixel: u32) -> u32 {
    var r = pixel;
    var above = atomicLoad(&roots[r]);
    while (above != r) {
        r = above;
        above = atomicLoad(&roots[r]);
    }
    return r;
}
//% endif
//% if step == "join"

fn unite(first: u32, second: u32) {
    var a = first;
    var b = second;
    loop {
        a = root_of(a);
        b = root_of(b);
        if (a == b) { return; }
        let less = min(a, b);
        let more = max(a, b);
        let old = atomicMin(&roots[more], less);
        if (old == more) { return; }
        a = less;
        b = old;
    }
}
//% endif

//% if step == "finish"
fn edge(i: u32) -> u32 {
    if (i >= params.count || thin[i] <= 0.0) { return 0u; }
    var r = i;
    while (roots[r] != r) { r = roots[r]; }
    return marks[r];
}
//% endif

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.x + id.y * (65535u * 64u);
//% if step == "finish"
    if (4u * i >= params.count) { return; }
    edges[i] = edge(4u * i) | (edge(4u * i + 1u) << 8u) | (edge(4u * i + 2u) << 16u)
        | (edge(4u * i + 3u) << 24u);
//% else
    if (i >= params.count) { return; }
//% if step == "start"
    roots[i] = i;
    marks[i] = 0u;
//% elif step == "join"
    if (thin[i] <= 0.0) { return; }
    let line = i / params.row;
    let column = i - line * params.row;
    if (column > 0u && thin[i - 1u] > 0.0) { unite(i, i - 1u); }
    if (line % params.rows == 0u) { return; }
    let above = i - params.row;
    if (thin[above] > 0.0) { unite(i, above); }
    if (column > 0u && thin[above - 1u] > 0.0) { unite(i, above - 1u); }
    if (column + 1u < params.row && thin[above + 1u] > 0.0) { unite(i, above + 1u); }
//% else
    if (thin[i] > 0.0 && thin[i] >= params.high) { marks[root_of(i)] = 1u; }
//% endif
//% endif
}
