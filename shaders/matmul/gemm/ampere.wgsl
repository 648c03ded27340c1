// What the kernel of ampere.cu takes: its bindings and sizes, as WGSL declares them.
//
// Memory: as in matmul/gemm/native_bindings.wgsl. Its body stands in ampere.cu.
// Limits: those of ampere.cu.
enable f16;

struct Params {
    rows: u32,                          // of one product of a batch
    n: u32, columns: u32,               // columns of the result, and of the weights
    batch: u32,
    depth: u32,                         // rows of the weights of one product
    slices: u32,                        // of K, of 32
    slices1: u32, slices2: u32,         // of a tap: those of x, and of both sources
    c1: u32, c2: u32,                   // channels of the sources
    width: u32, height: u32,            // of the image that is convolved
    out_width: u32, out_height: u32,
    kernel_width: u32, stride: u32, pad_left: u32, pad_top: u32,
    rows_of_image: u32, image_pitch: u32, image_first: u32,
}

//% include "matmul/gemm/native_bindings.wgsl"
