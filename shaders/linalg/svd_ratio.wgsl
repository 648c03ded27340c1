// The largest singular value over the least, one matrix an invocation; infinite where the least is zero.
//
// Memory: s (batch, k) descending, y (batch).
// Limits: f32; k of 1 or more.
struct Params { count: u32, k: u32 }

@group(0) @binding(0) var<storage, read> s: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let index = id.x + id.y * (65535u * 64u);
    if (index >= params.count) { return; }
    let least = s[(index + 1u) * params.k - 1u];
    // Bits of infinity, made where the compiler does not see a constant.
    let infinite = bitcast<f32>(0x7f800000u | (index & 0u));
    y[index] = select(s[index * params.k] / least, infinite, least == 0.0);
}
