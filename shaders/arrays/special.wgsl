// Numbers that WGSL has no words for, by their bits: tests that no compiler can reason away, and
// values made at run time, since a constant must not be NaN or infinite.

fn is_nan(v: vec4<f32>) -> vec4<bool> {
    return (bitcast<vec4<u32>>(v) & vec4<u32>(0x7fffffffu)) > vec4<u32>(0x7f800000u);
}

fn is_infinite(v: vec4<f32>) -> vec4<bool> {
    return (bitcast<vec4<u32>>(v) & vec4<u32>(0x7fffffffu)) == vec4<u32>(0x7f800000u);
}

fn is_finite(v: vec4<f32>) -> vec4<bool> {
    return (bitcast<vec4<u32>>(v) & vec4<u32>(0x7f800000u)) != vec4<u32>(0x7f800000u);
}

fn not_a_number() -> vec4<f32> {
    var bits = vec4<u32>(0x7fc00000u);
    return bitcast<vec4<f32>>(bits);
}

fn infinity() -> vec4<f32> {
    var bits = vec4<u32>(0x7f800000u);
    return bitcast<vec4<f32>>(bits);
}

// The size of a with the sign of b.
fn with_sign(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    let size = bitcast<vec4<u32>>(a) & vec4<u32>(0x7fffffffu);
    return bitcast<vec4<f32>>(size | (bitcast<vec4<u32>>(b) & vec4<u32>(0x80000000u)));
}

fn flags(v: vec4<bool>) -> vec4<u32> {
    return select(vec4<u32>(0u), vec4<u32>(1u), v);
}
