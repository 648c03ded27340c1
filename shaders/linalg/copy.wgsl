// Copies views: all of them, a triangle with zeros beside it, a triangle mirrored, or the unit matrix.
//
// Memory: as in linalg/batch.wgsl; a lane takes one element of c, neighbours along its columns.
// Limits: 2^32 elements; a row of 65535 workgroups, then the next.
//% set views = ["a", "c"]
//% from "linalg/batch.wgsl" import fields, starts with context
//% if scalar == "f16"
enable f16;
//% endif
//% if scalar == "c64"
alias c64x1 = vec2<f32>;
alias S = c64x1;
//% else
alias S = {{ scalar }};
//% endif

const GROUP = 64u;
const LOWER = 1u;
const UPPER = 2u;

// `part` is what a matrix keeps, or has where it is mirrored.
struct Params {
    m: u32,
    n: u32,
    part: u32,
    unit: u32,
    mirror: u32,
{{ fields() }}}

@group(0) @binding(0) var<storage, read> a: array<S>;
@group(0) @binding(1) var<storage, read_write> c: array<S>;
@group(0) @binding(2) var<uniform> params: Params;
{{ starts() }}
fn one() -> S {
//% if scalar == "c64"
    return vec2<f32>(1.0, 0.0);
//% else
    return S(1.0);
//% endif
}

@compute @workgroup_size(GROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let flat = id.x + id.y * (65535u * GROUP);
    let size = params.m * params.n;
    let index = flat / size;
    if (index >= params.batch) { return; }
    let i = flat % size / params.n;
    let j = flat % size % params.n;
    let over = i32(j) - i32(i);
    let outside = (params.part == LOWER && over > 0) || (params.part == UPPER && over < 0);
    var v = S();
    if (outside && params.mirror != 0u) {
        v = a[a_first(index) + j * params.a_row + i * params.a_column];
    } else if (params.unit != 0u && i == j) {
        v = one();
    } else if (!outside) {
        v = a[a_first(index) + i * params.a_row + j * params.a_column];
    }
    c[c_first(index) + i * params.c_row + j * params.c_column] = v;
}
