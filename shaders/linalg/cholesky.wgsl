// The Cholesky factor of small blocks, in place, in the lower triangle of a view.
//
// An invocation takes a matrix, column after column: no barrier, no workgroup memory, for software renderers.
// A pivot that is not above zero makes its column, and with it all later ones, NaN.
//
// Memory: a view as in linalg/batch.wgsl. Limits: none but time, which grows with the cube of the rows.
//% set views = ["a"]
//% from "linalg/batch.wgsl" import fields, starts with context

const THREADS = {{ threads }}u;

// nan: its bits, since WGSL has no such constant.
struct Params {
    n: u32,
    nan: u32,
{{ fields() }}}

@group(0) @binding(0) var<storage, read_write> a: array<f32>;
@group(0) @binding(1) var<uniform> params: Params;
{{ starts() }}
fn place(first: u32, i: u32, j: u32) -> u32 {
    return first + i * params.a_row + j * params.a_column;
}

fn root_of(pivot: f32) -> f32 {
    if (pivot > 0.0) { return sqrt(pivot); }
    return bitcast<f32>(params.nan);
}

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let index = id.x + id.y * (65535u * THREADS);
    if (index >= params.batch) { return; }
    let first = a_first(index);
    for (var j = 0u; j < params.n; j++) {
        var root = 0.0;
        for (var i = j; i < params.n; i++) {
            var v = a[place(first, i, j)];
            for (var k = 0u; k < j; k++) {
                v = fma(-a[place(first, i, k)], a[place(first, j, k)], v);
            }
            if (i == j) {
                root = root_of(v);
                v = root;
            } else {
                v /= root;
            }
            a[place(first, i, j)] = v;
        }
    }
}
