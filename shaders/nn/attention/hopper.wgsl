// What the kernel of hopper.cu takes: its bindings and sizes, as WGSL declares them.
//
// Memory: q (B, SQ, H, D), k and v (B, SK, H, D), each in rows of its own pitch, and y (B, SQ, H, D),
// row-major. Its body stands in hopper.cu.
// Limits: those of hopper.cu.
enable f16;

struct Params {
    sq: u32,
    sk: u32,
    heads: u32,
    scale: f32, // 1 / sqrt(D), with log2(e) folded in: weights are powers of two
}

@group(0) @binding(0) var<storage, read> q: array<f16>;
@group(0) @binding(1) var<storage, read> k: array<f16>;
@group(0) @binding(2) var<storage, read> v: array<f16>;
@group(0) @binding(3) var<storage, read_write> y: array<f16>;
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size({{ threads }})
fn main() {
    _ = &q;
    _ = &k;
    _ = &v;
    _ = &y;
    _ = params.sq;
}
