// Division with a quotient rounded down, as Python's // and %, and powers of integers.
//
// A float remainder is exact: long division of the mantissas, eight bits of the quotient a step
// (at most 32 steps, most often one).
//% macro whole(V, S, signed)
fn floor_quotient(a: {{ V }}, b: {{ V }}) -> {{ V }} {
    let none = b == {{ V }}(0);
    let d = select(b, {{ V }}(1), none);
//% if signed
    // The least number over -1 wraps, as a negation does.
    let minus = d == {{ V }}(-1);
    let e = select(d, {{ V }}(1), minus);
    let q = select(a / e, -a, minus);
    let r = a - q * d;
    let down = (r != {{ V }}(0)) & ((r < {{ V }}(0)) != (d < {{ V }}(0)));
    return select(select(q, q - 1, down), {{ V }}(0), none);
//% else
    return select(a / d, {{ V }}(0), none);
//% endif
}

fn floor_remainder(a: {{ V }}, b: {{ V }}) -> {{ V }} {
    return select(a - floor_quotient(a, b) * b, {{ V }}(0), b == {{ V }}(0));
}

fn power_of(a: {{ V }}, b: {{ V }}) -> {{ V }} {
    var result = {{ V }}(1);
    var square = a;
//% if signed
    // A negative power is 0 but of 1 and -1.
    let unit = (a == {{ V }}(1)) | (a == {{ V }}(-1));
    var rest = vec4<u32>(abs(b));
//% else
    var rest = b;
//% endif
    while (any(rest != vec4<u32>(0u))) {
        result = select(result, result * square, (rest & vec4<u32>(1u)) == vec4<u32>(1u));
        square = square * square;
        rest = rest >> vec4<u32>(1u);
    }
//% if signed
    return select(result, {{ V }}(0), (b < {{ V }}(0)) & !unit);
//% else
    return result;
//% endif
}
//% endmacro

{# Exact remainders of floats. #}
//% macro floats()
// Mantissa and exponent of a positive number: x = m 2^e, m from 2^23 to 2^24 but for subnormal x.
fn mantissa(bits: u32) -> u32 {
    return select((bits & 0x007fffffu) | 0x00800000u, bits & 0x007fffffu, bits < 0x00800000u);
}

fn exact_remainder(a: f32, b: f32) -> f32 {
    let x = bitcast<u32>(a);
    let y = bitcast<u32>(b);
    if (x < y) { return a; }
    let divisor = mantissa(y);
    let end = max(y >> 23u, 1u);
    var steps = max(x >> 23u, 1u) - end;
    var rest = mantissa(x) % divisor;
    while (steps > 0u && rest != 0u) {
        let some = min(steps, 8u);
        rest = (rest << some) % divisor;
        steps -= some;
    }
    if (rest == 0u) { return 0.0; }
    // rest 2^(end - 150), its leading bit moved to place 23 where the exponent allows.
    let shift = min(countLeadingZeros(rest) - 8u, end - 1u);
    let moved = rest << shift;
    let exponent = select(0u, end - shift, moved >= 0x00800000u);
    return bitcast<f32>((moved & 0x007fffffu) | (exponent << 23u));
}

// The remainder with the sign of a, for finite a and b other than 0.
fn truncated_remainder(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    let p = abs(a);
    let q = abs(b);
    var r = vec4<f32>();
    for (var k = 0u; k < 4u; k++) {
        if (bitcast<u32>(p[k]) < 0x7f800000u && bitcast<u32>(q[k]) - 1u < 0x7f7fffffu) {
            r[k] = exact_remainder(p[k], q[k]);
        } else {
            r[k] = p[k];
        }
    }
    return with_sign(r, a);
}

fn floor_remainder(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    let r = truncated_remainder(a, b);
    let other = (r != vec4<f32>(0.0)) & ((r < vec4<f32>(0.0)) != (b < vec4<f32>(0.0)));
    let y = select(select(r, r + b, other), with_sign(r, b), r == vec4<f32>(0.0));
    let bad = (b == vec4<f32>(0.0)) | is_nan(a) | is_nan(b) | is_infinite(a);
    return select(y, not_a_number(), bad);
}

fn floor_quotient(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    let r = truncated_remainder(a, b);
    let other = (r != vec4<f32>(0.0)) & ((r < vec4<f32>(0.0)) != (b < vec4<f32>(0.0)));
    let q = round((a - r) / b);
    let y = with_sign(select(q, q - 1.0, other), a / b);
    let wide = is_infinite(b) & is_finite(a);
    // By bits, since compilers make -1.0 of truths, and -0.0 of their opposite.
    let sign = (bitcast<vec4<u32>>(a) ^ bitcast<vec4<u32>>(b)) & vec4<u32>(0x80000000u);
    let far = bitcast<vec4<f32>>(select(sign, vec4<u32>(0xBF800000u), other));
    let none = b == vec4<f32>(0.0);
    let odd = is_nan(a) | is_nan(b) | (is_infinite(a) & !none);
    return select(select(select(y, far, wide), a / b, none), not_a_number(), odd);
}
//% endmacro
