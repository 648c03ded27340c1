// Division with a quotient rounded down, as Python's // and %, and powers of integers.
//
// i32 wraps, as in NumPy, where lines allow overflow: powers, the least number over -1, and products
// whose difference wraps back.
//
// A float remainder is exact: long division of the mantissas, eight bits of the quotient a step
// (at most 32 steps, most often one).
//% macro whole(V, S, signed)
//% set allowed = "  // sanitize: allow overflow" if signed else ""
fn floor_quotient(a: {{ V }}, b: {{ V }}) -> {{ V }} {
    let none = b == {{ V }}(0);
    let d = select(b, {{ V }}(1), none);
//% if signed
    // The least number over -1 wraps, as a negation does.
    let minus = d == {{ V }}(-1);
    let e = select(d, {{ V }}(1), minus);
    let q = select(a / e, -a, minus);  // sanitize: allow overflow
    let r = a - q * d;  // sanitize: allow overflow
    let down = (r != {{ V }}(0)) & ((r < {{ V }}(0)) != (d < {{ V }}(0)));
    return select(select(q, q - 1, down), {{ V }}(0), none);
//% else
    return select(a / d, {{ V }}(0), none);
//% endif
}

fn floor_remainder(a: {{ V }}, b: {{ V }}) -> {{ V }} {
    return select(a - floor_quotient(a, b) * b, {{ V }}(0), b == {{ V }}(0));{{ allowed }}
}

fn power_of(a: {{ V }}, b: {{ V }}) -> {{ V }} {
    var result = {{ V }}(1);
    var square = a;
//% if signed
    // A negative power is 0 but of 1 and -1.
    let unit = (a == {{ V }}(1)) | (a == {{ V }}(-1));
    var rest = vec4<u32>(abs(b));{{ allowed }}
//% else
    var rest = b;
//% endif
    while (any(rest != vec4<u32>(0u))) {
        result = select(result, result * square, (rest & vec4<u32>(1u)) == vec4<u32>(1u));{{ allowed }}
        square = square * square;{{ allowed }}
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

// The remainder of two finite numbers above 0; all three by their bits.
fn exact_remainder(x: u32, y: u32) -> u32 {
    if (x < y) { return x; }
    let divisor = mantissa(y);
    let end = max(y >> 23u, 1u);
    var steps = max(x >> 23u, 1u) - end;
    var rest = mantissa(x) % divisor;
    while (steps > 0u && rest != 0u) {
        let some = min(steps, 8u);
        rest = (rest << some) % divisor;
        steps -= some;
    }
    if (rest == 0u) { return 0u; }
    // rest 2^(end - 150), its leading bit moved to place 23 where the exponent allows.
    let shift = min(countLeadingZeros(rest) - 8u, end - 1u);
    let moved = rest << shift;
    let exponent = select(0u, end - shift, moved >= 0x00800000u);
    return (moved & 0x007fffffu) | (exponent << 23u);
}

// The remainder with the sign of a, for finite a and b other than 0.
fn truncated_remainder(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    let p = bitcast<vec4<u32>>(a) & vec4<u32>(0x7fffffffu);
    let q = bitcast<vec4<u32>>(b) & vec4<u32>(0x7fffffffu);
    var r = p;
    for (var k = 0u; k < 4u; k++) {
        if (p[k] < 0x7f800000u && q[k] - 1u < 0x7f7fffffu) { r[k] = exact_remainder(p[k], q[k]); }
    }
    return with_sign(bitcast<vec4<f32>>(r), a);
}

// A device may take numbers below 2^-126 for 0 in arithmetic and comparisons (WGSL, 15.7.2), which
// here would choose a result that is |b| off. So signs and zeros are told by bits, and small numbers
// are multiplied by 2^64 first: exact for what is below 2^60.
fn is_zero(v: vec4<f32>) -> vec4<bool> {
    return (bitcast<vec4<u32>>(v) & vec4<u32>(0x7fffffffu)) == vec4<u32>(0u);
}

fn raised(v: vec4<f32>) -> vec4<f32> {
    let size = bitcast<vec4<u32>>(v) & vec4<u32>(0x7fffffffu);
    let normal = bitcast<vec4<f32>>(size + vec4<u32>(64u << 23u));
    let y = select(normal, vec4<f32>(size) * 2.5849394142282115e-26, size < vec4<u32>(0x00800000u));
    return with_sign(y, v);
}

// v 2^-64 of v that is a multiple of 2^-85, 2^-149 2^64.
fn lowered(v: vec4<f32>) -> vec4<f32> {
    let size = bitcast<vec4<u32>>(v) & vec4<u32>(0x7fffffffu);
    let small = size < vec4<u32>(65u << 23u);
    let steps = vec4<u32>(select(vec4<f32>(), abs(v), small) * 3.8685626227668134e25);
    return with_sign(bitcast<vec4<f32>>(select(size - vec4<u32>(64u << 23u), steps, small)), v);
}

fn are_small(a: vec4<f32>, b: vec4<f32>) -> vec4<bool> {
    return (abs(a) < vec4<f32>(1152921504606846976.0)) & (abs(b) < vec4<f32>(7.888609052210118e-31));
}

// Where the quotient's fraction counts below zero: the remainder r has another sign than b.
fn below_zero(r: vec4<f32>, b: vec4<f32>) -> vec4<bool> {
    return !is_zero(r) & ((bitcast<vec4<i32>>(r) ^ bitcast<vec4<i32>>(b)) < vec4<i32>(0));
}

fn floor_remainder(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    let r = truncated_remainder(a, b);
    let sum = select(r + b, lowered(raised(r) + raised(b)), are_small(r, b));
    let y = select(select(r, sum, below_zero(r, b)), with_sign(r, b), is_zero(r));
    let bad = is_zero(b) | is_nan(a) | is_nan(b) | is_infinite(a);
    return select(y, not_a_number(), bad);
}

fn floor_quotient(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    let r = truncated_remainder(a, b);
    let other = below_zero(r, b);
    let small = are_small(a, b);
    let whole = select(a - r, raised(a) - raised(r), small);
    let q = round(whole / select(b, raised(b), small));
    // By bits, since compilers make -1.0 of truths, and -0.0 of their opposite.
    let sign = (bitcast<vec4<u32>>(a) ^ bitcast<vec4<u32>>(b)) & vec4<u32>(0x80000000u);
    let y = with_sign(select(q, q - 1.0, other), bitcast<vec4<f32>>(sign));
    let wide = is_infinite(b) & is_finite(a);
    let far = bitcast<vec4<f32>>(select(sign, vec4<u32>(0xBF800000u), other));
    let none = is_zero(b);
    let odd = is_nan(a) | is_nan(b) | (is_infinite(a) & !none) | (is_zero(a) & none);
    let beyond = with_sign(infinity(), bitcast<vec4<f32>>(sign));
    return select(select(select(y, far, wide), beyond, none), not_a_number(), odd);
}
//% endmacro
