// Complex arithmetic on two numbers at once: (real, imaginary, real, imaginary).

fn complex_product(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    return a.xxzz * b + vec4<f32>(-1.0, 1.0, -1.0, 1.0) * a.yyww * b.yxwz;
}

// Both are brought to the size of b's larger part first, so that no square overflows. By zero, parts
// are infinite or NaN, as in NumPy: made by their bits, since WGSL leaves x / 0 open.
fn complex_quotient(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    let largest = max(abs(b.xz), abs(b.yw)).xxyy;
    let by_zero = largest == vec4<f32>();
    let size = select(largest, vec4<f32>(1.0), by_zero);
    let d = b / size;
    let square = select((d * d).xxzz + (d * d).yyww, vec4<f32>(1.0), by_zero);
    let quotient = complex_product(a / size, d * vec4<f32>(1.0, -1.0, 1.0, -1.0)) / square;
    let none = is_nan(a) | (a == vec4<f32>());
    return select(quotient, select(with_sign(infinity(), a), not_a_number(), none), by_zero);
}

fn lengths(a: vec4<f32>) -> vec2<f32> {
    // Scaled by a power of two near the larger part: quotients of large numbers are flushed to zero on
    // some cards, which divide through a reciprocal.
    let size = abs(a);
    let large = max(size.xz, size.yw);
    let power = clamp(bitcast<vec2<u32>>(large) >> vec2<u32>(23u), vec2<u32>(1u), vec2<u32>(253u));
    let down = bitcast<vec2<f32>>((vec2<u32>(254u) - power) << vec2<u32>(23u));
    let x = size.xz * down;
    let y = size.yw * down;
    return sqrt(x * x + y * y) * bitcast<vec2<f32>>(power << vec2<u32>(23u));
}
//% if op == "exp"

// A size and an angle; what has none of the latter stays real, also where the size is infinite.
fn complex_exponential(a: vec4<f32>) -> vec4<f32> {
    let size = exp_of(a.xxzz);
    let angle = a.yyww;
    let turned = size * select(cos_of(angle), sin_of(angle), vec4<bool>(false, true, false, true));
    return select(turned, vec4<f32>(size.x, a.y, size.z, a.w), angle == vec4<f32>());
}
//% elif op == "log"

// Of a quarter, where the length itself may be beyond f32.
fn complex_logarithm(a: vec4<f32>) -> vec4<f32> {
    let large = max(abs(a.xxzz), abs(a.yyww)) > vec4<f32>(1e38);
    let size = log_of(lengths(select(a, 0.25 * a, large)).xxyy) + select(vec4<f32>(), vec4<f32>(1.3862943611), large);
    return select(size, atan2_of(a.yyww, a.xxzz), vec4<bool>(false, true, false, true));
}
//% endif
