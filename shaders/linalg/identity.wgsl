// Ones on the diagonals of matrices, zeros beside them: one element an invocation.
//
// Memory: y (batch, rows, columns).
// Limits: f32; 2^32 elements.
struct Params { count: u32, rows: u32, columns: u32 }

@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@group(0) @binding(1) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let index = id.x + id.y * (65535u * 64u);
    if (index >= params.count) { return; }
    let row = index / params.columns;
    y[index] = select(0.0, 1.0, row % params.rows == index - row * params.columns);
}
