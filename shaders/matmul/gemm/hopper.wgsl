// What the kernel of hopper.cu takes: its bindings and sizes, as WGSL declares them.
//
// Memory: as in matmul/gemm/native_bindings.wgsl. Its body stands in hopper.cu.
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

//% include "matmul/gemm/native_bindings.wgsl"
