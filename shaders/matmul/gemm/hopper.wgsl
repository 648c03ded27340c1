// What the kernel of hopper.cu takes: its bindings and sizes, as WGSL declares them.
//
// Memory: as in matmul/gemm/operands.wgsl: x, and x2 where there are two sources; weights w (K,
// columns); bias, per_image and residual where they are given; the result y. Its body stands in
// hopper.cu.
// Limits: those of hopper.cu.
enable f16;

struct Params {
    rows: u32,                          // of one product of a batch
    n: u32,                             // columns of the result
    batch: u32,
    depth: u32,                         // rows of the weights of one product
    slices: u32,                        // of K, of 64
    slices1: u32, slices2: u32,         // of a tap: those of x, and of both sources
    out_width: u32, out_height: u32,    // of the image that is convolved
    kernel_width: u32, stride: u32, pad_left: u32, pad_top: u32,
    rows_of_image: u32, image_pitch: u32, image_first: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f16>;
//% set at = 1
//% if two
@group(0) @binding(1) var<storage, read> x2: array<f16>;
//% set at = 2
//% endif
@group(0) @binding({{ at }}) var<storage, read> w: array<f16>;
//% if bias
//% set at = at + 1
@group(0) @binding({{ at }}) var<storage, read> bias: array<f32>;
//% endif
//% if per_image
//% set at = at + 1
@group(0) @binding({{ at }}) var<storage, read> per_image: array<f16>;
//% endif
//% if residual
//% set at = at + 1
@group(0) @binding({{ at }}) var<storage, read> residual: array<f16>;
//% endif
@group(0) @binding({{ at + 1 }}) var<storage, read_write> y: array<{{ out }}>;
@group(0) @binding({{ at + 2 }}) var<uniform> params: Params;

@compute @workgroup_size({{ threads }})
fn main() {
    _ = &x;
//% if two
    _ = &x2;
//% endif
    _ = &w;
//% if bias
    _ = &bias;
//% endif
//% if per_image
    _ = &per_image;
//% endif
//% if residual
    _ = &residual;
//% endif
    _ = &y;
    _ = params.n;
}
