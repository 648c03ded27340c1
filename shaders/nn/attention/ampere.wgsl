// What the kernel of ampere.cu takes: its bindings and sizes, as WGSL declares them.
//
// Memory: as in nn/attention/operands.wgsl, in words of 8 channels. Its body stands in ampere.cu.
// Limits: those of ampere.cu.
//% include "nn/attention/operands.wgsl"

@compute @workgroup_size({{ threads }})
fn main() {
    _ = &q;
    _ = &k;
    _ = &v;
    _ = &y;
    _ = params.sq;
}
