// Complex arithmetic on two numbers at once: (real, imaginary, real, imaginary).

fn complex_product(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    return a.xxzz * b + vec4<f32>(-1.0, 1.0, -1.0, 1.0) * a.yyww * b.yxwz;
}

// Both are brought to the size of b's larger part first, so that no square overflows.
fn complex_quotient(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    let size = max(abs(b.xz), abs(b.yw)).xxyy;
    let d = b / size;
    let square = (d * d).xz + (d * d).yw;
    return complex_product(a / size, d * vec4<f32>(1.0, -1.0, 1.0, -1.0)) / square.xxyy;
}

fn lengths(a: vec4<f32>) -> vec2<f32> {
    let size = abs(a);
    let large = max(size.xz, size.yw);
    let ratio = min(size.xz, size.yw) / select(large, vec2<f32>(1.0), large == vec2<f32>(0.0));
    return large * sqrt(1.0 + ratio * ratio);
}
