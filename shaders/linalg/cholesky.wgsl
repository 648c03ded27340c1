// The Cholesky factor of blocks of at most {{ nb }} rows, in place, in the lower triangle of a view.
//
//% set held = nb * nb // threads
//% if alone
// An invocation takes a matrix, column after column: no barrier, no workgroup memory, for software renderers.
//% else
// A workgroup takes a matrix, an invocation {{ held }} elements of one column, in registers. A step shows column k to
// all in workgroup memory, in two places by turns, so that it has one barrier, and subtracts what it adds.
//% endif
// A pivot that is not above zero makes its column, and with it all later ones, NaN.
//
// Memory: a view as in linalg/batch.wgsl. Workgroup memory: 8 * NB bytes. Limits: NB rows; THREADS a multiple of NB.
//% set views = ["a"]
//% from "linalg/batch.wgsl" import fields, starts with context

const NB = {{ nb }}u;
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
//% if alone

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
//% else

const LANES = THREADS / NB;

var<workgroup> column: array<f32, 2u * NB>;

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let index = group.x + group.y * 65535u;
    if (index >= params.batch) { return; }
    let first = a_first(index);
    let j = t % NB;
//% for s in range(held)
    let i{{ s }} = t / NB + {{ s }}u * LANES;
    let mine{{ s }} = i{{ s }} < params.n && j <= i{{ s }};
    var v{{ s }} = 0.0;
    if (mine{{ s }}) { v{{ s }} = a[place(first, i{{ s }}, j)]; }
//% endfor
    for (var k = 0u; k < params.n; k++) {
        let now = k % 2u * NB;
        if (j == k) {
//% for s in range(held)
            column[now + i{{ s }}] = v{{ s }};
//% endfor
        }
        workgroupBarrier();
        let pivot = column[now + k];
        if (j > k) {
            let scaled = select(bitcast<f32>(params.nan), column[now + j] / pivot, pivot > 0.0);
//% for s in range(held)
            v{{ s }} = fma(-column[now + i{{ s }}], scaled, v{{ s }});
//% endfor
        } else if (j == k) {
            let root = root_of(pivot);
//% for s in range(held)
            v{{ s }} = select(v{{ s }} / root, root, i{{ s }} == j);
//% endfor
        }
    }
//% for s in range(held)
    if (mine{{ s }}) { a[place(first, i{{ s }}, j)] = v{{ s }}; }
//% endfor
}
//% endif
