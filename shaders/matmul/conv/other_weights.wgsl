// Operands of kernels that bring the weights of a 3 x 3 convolution into another form, computed in f32 and
// rounded once. One column of one channel an invocation.
//
// Memory: w is (3, 3, C, N), u (planes, C, N), both of the storage scalar S; `count` is C N.
// Limits: 2^32 - 2^11 elements of a plane.
//% set deep = slices is defined
//% if deep
// Of a kernel over three axes, w is (slices, 3, 3, C, N), u (planes, slices, C, N), and C N are a `plane`.
//% endif
//% include "arrays/combination/flat.wgsl"

//% if deep
struct Params { count: u32, plane: u32 }
//% else
struct Params { count: u32 }
//% endif

@group(0) @binding(0) var<storage, read> w: array<W>;
@group(0) @binding(1) var<storage, read_write> u: array<W>;
@group(0) @binding(2) var<uniform> params: Params;

// A word of the weight under a tap.
//% if deep
fn weight(i: u32, tap: u32) -> F { return F(w[i + (i / params.plane * 8u + tap) * params.plane]); }
//% else
fn weight(i: u32, tap: u32) -> F { return F(w[i + tap * params.count]); }
//% endif
