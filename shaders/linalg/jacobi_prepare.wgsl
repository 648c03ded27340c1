// Matrices placed in columns `first` to first + width of rows whose number is a multiple of 32, with zeros
// around: {{ kind }}.
//
// scaled: times a power of two that brings the largest element to [1, 2). symmetric: the same, of the
// matrix whose one triangle is given. turned: the transpose. identity: ones on the diagonal.
//
// Memory: a (batch, n, n), peaks (batch) bits of largest elements, y (batch, rows, pitch); one element of y
// an invocation.
// Limits: f32; 2^32 elements.
//% include "linalg/jacobi_rotation.wgsl"

struct Params { count: u32, n: u32, rows: u32, pitch: u32, first: u32, width: u32, lower: u32 }

//% if kind != "identity"
@group(0) @binding(0) var<storage, read> a: array<f32>;
//% endif
//% if kind in ("scaled", "symmetric")
@group(0) @binding(1) var<storage, read> peaks: array<u32>;
//% endif
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let index = id.x + id.y * (65535u * 64u);
    if (index >= params.count) { return; }
    let n = params.n;
    let j = index % params.width;
    let row = index / params.width;
    let i = row % params.rows;
    var value = 0.0;
    if (i < n && j < n) {
//% if kind == "identity"
        value = select(0.0, 1.0, i == j);
//% else
        let z = row / params.rows;
//% if kind == "turned"
        value = a[(z * n + j) * n + i];
//% elif kind == "scaled"
        value = a[(z * n + i) * n + j] * powers_of(peaks[z]).y;
//% else
        let high = select(min(i, j), max(i, j), params.lower != 0u);
        value = a[(z * n + high) * n + i + j - high] * powers_of(peaks[z]).y;
//% endif
//% endif
    }
    y[row * params.pitch + params.first + j] = value;
}
