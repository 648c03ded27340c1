// Quantised weights as the right operand of a product: a word of them at its place in the matrix that they
// would be in the storage scalar S, rounded to the nearest one, ties to even.
//
// Layout: as in matmul/quantized/values.wgsl. A word is {{ q_unit }} columns.
// Limits: those of the kernel.
//% if activation == "geglu" and not split
fn q_columns() -> u32 { return params.n * 2u; }
//% else
fn q_columns() -> u32 { return params.n; }
//% endif

fn q_depth() -> u32 { return depth(); }
//% if q_conv

fn q_taps() -> u32 { return kernel_height() * kernel_width(); }
//% endif

//% include "matmul/quantized/values.wgsl"

@group(0) @binding(2) var<storage, read> w: array<QW>;

//% if scalar == "f16" and matrix is not defined
// The nearest numbers that f16 has. Compilers leave conversions to f16 out where f32 is wanted again, and
// some round towards zero.
fn q_rounded(v: vec4<f32>) -> vec4<f32> {
    let bits = bitcast<vec4<u32>>(v);
    let up = bits + vec4<u32>(0xfffu) + ((bits >> vec4<u32>(13u)) & vec4<u32>(1u));
    let normal = bitcast<vec4<f32>>(up & vec4<u32>(0xffffe000u));
    let small = round(v * 16777216.0) * 5.9604644775390625e-8;
    return select(normal, small, abs(v) < vec4<f32>(6.103515625e-5));
}

//% endif
//% if q_unit == 8
fn weight_at(i: u32) -> vec4<u32> {
    let words = q_columns() / 8u;
    let row = q_row(i / words);
//% if matrix is defined
    let low = q_weight(row, 2u * (i % words));
    let high = q_weight(row, 2u * (i % words) + 1u);
//% else
    let low = q_rounded(q_weight(row, 2u * (i % words)));
    let high = q_rounded(q_weight(row, 2u * (i % words) + 1u));
//% endif
    let half = vec2<u32>(pack2x16float(low.xy), pack2x16float(low.zw));
    return vec4<u32>(half, pack2x16float(high.xy), pack2x16float(high.zw));
}
//% elif q_unit == 4
fn weight_at(i: u32) -> vec4<S> {
    let words = q_columns() / 4u;
    let v = q_weight(q_row(i / words), i % words);
//% if scalar == "f16"
    return vec4<S>(q_rounded(v));
//% else
    return v;
//% endif
}
//% else
fn weight_at(i: u32) -> S {
    let v = q_weight(q_row(i / q_columns()), i % q_columns());
//% if scalar == "f16"
    return S(q_rounded(vec4<f32>(v)).x);
//% else
    return v;
//% endif
}
//% endif
