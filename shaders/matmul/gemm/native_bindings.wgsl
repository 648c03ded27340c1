// The bindings of products in CUDA C++, whose Params a file above declares, and a body that names them.
//
// Memory: as in matmul/gemm/operands.wgsl: x, and x2 where there are two sources; weights w (K,
// columns), or (slots, K, columns) and the slot of each image; bias, per_image, residual and a low-rank
// update where they are given; the result y.
// Limits: those of the file that includes it.
@group(0) @binding(0) var<storage, read> x: array<f16>;
//% set at = 1
//% if two
@group(0) @binding(1) var<storage, read> x2: array<f16>;
//% set at = 2
//% endif
@group(0) @binding({{ at }}) var<storage, read> w: array<f16>;
//% if slots is defined
//% set at = at + 1
@group(0) @binding({{ at }}) var<storage, read> slots: array<u32>;
//% endif
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
//% if update is defined
@group(0) @binding({{ at + 1 }}) var<storage, read> ranks: array<f16>;
@group(0) @binding({{ at + 2 }}) var<storage, read> up: array<f16>;
@group(0) @binding({{ at + 3 }}) var<storage, read> chosen: array<u32>;
//% set at = at + 3
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
//% if slots is defined
    _ = &slots;
//% endif
//% if bias
    _ = &bias;
//% endif
//% if per_image
    _ = &per_image;
//% endif
//% if residual
    _ = &residual;
//% endif
//% if update is defined
    _ = &ranks;
    _ = &up;
    _ = &chosen;
//% endif
    _ = &y;
    _ = params.n;
}
