// Exponentials, logarithms and hyperbolic functions in f32, to a few units in the last place on any
// device: WGSL's own may err by |x| units. The argument is reduced with a constant in two parts, the
// first of which has so few bits that its products are exact (Cody and Waite 1980); the rest goes
// into Taylor's polynomial of exp or into Moshier's of log (Cephes, logf).

fn power_of_two(n: vec4<i32>) -> vec4<f32> {
    return bitcast<vec4<f32>>((clamp(n, vec4<i32>(-126), vec4<i32>(127)) + 127) << vec4<u32>(23u));
}

// v 2^n of v from 1/2 to 2, rounded once. The exponent is added as an integer: a compiler may take
// the factors of a product in another order (WGSL, 15.7.5), and 2^128 alone is no f32.
fn scaled(v: vec4<f32>, n: vec4<i32>) -> vec4<f32> {
    let bits = bitcast<vec4<i32>>(v);
    let exponent = (bits >> vec4<u32>(23u)) + n;
    let small = exponent < vec4<i32>(1);
    let held = clamp(exponent + select(vec4<i32>(0), vec4<i32>(64), small), vec4<i32>(1), vec4<i32>(254));
    let y = bitcast<vec4<f32>>((bits & vec4<i32>(0x007fffff)) | (held << vec4<u32>(23u)));
    // 2^-64; of what is smaller still, 2^-190 is left, which is 0.
    return select(select(y, y * 5.421010862427522e-20, small), infinity(), exponent > vec4<i32>(254));
}

// exp(r) - 1 for |r| <= 0.35: what is left out is below r^9 / 9! < 2^-31.
fn small_expm1(r: vec4<f32>) -> vec4<f32> {
    var p = vec4<f32>(1.0 / 40320.0);
    p = p * r + 1.0 / 5040.0;
    p = p * r + 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    return p * r * r + r;
}

fn exponent_of(x: vec4<f32>) -> vec4<f32> {
    return round(clamp(x, vec4<f32>(-110.0), vec4<f32>(100.0)) * 1.4426950408889634);
}

fn rest_of(x: vec4<f32>, n: vec4<f32>) -> vec4<f32> {
    let y = clamp(x, vec4<f32>(-110.0), vec4<f32>(100.0));
    return (y - n * 0.693359375) + n * 2.12194440e-4;
}

fn exp_of(x: vec4<f32>) -> vec4<f32> {
    let n = exponent_of(x);
    return select(scaled(1.0 + small_expm1(rest_of(x, n)), vec4<i32>(n)), x, is_nan(x));
}

fn exp2_of(x: vec4<f32>) -> vec4<f32> {
    let y = clamp(x, vec4<f32>(-160.0), vec4<f32>(140.0));
    let n = round(y);
    let r = small_expm1((y - n) * 0.6931471805599453);
    return select(scaled(1.0 + r, vec4<i32>(n)), x, is_nan(x));
}

// (2^n - 1) + 2^n (exp(r) - 1). From x = 25 on the 1 is below a tenth of a unit in the last place.
fn expm1_of(x: vec4<f32>) -> vec4<f32> {
    let low = min(x, vec4<f32>(25.0));
    let n = exponent_of(low);
    let power = power_of_two(vec4<i32>(max(n, vec4<f32>(-100.0))));
    let y = power * small_expm1(rest_of(low, n)) + (power - 1.0);
    let whole = select(y, exp_of(x), x > vec4<f32>(25.0));
    return select(whole, x, is_nan(x) | (abs(x) < vec4<f32>(1e-7)));
}

// log(1 + f) for f from sqrt(1/2) - 1 to sqrt(2) - 1, less its first term f.
fn log_tail(f: vec4<f32>) -> vec4<f32> {
    let z = f * f;
    var p = vec4<f32>(7.0376836292e-2);
    p = p * f - 1.1514610310e-1;
    p = p * f + 1.1676998740e-1;
    p = p * f - 1.2420140846e-1;
    p = p * f + 1.4249322787e-1;
    p = p * f - 1.6668057665e-1;
    p = p * f + 2.0000714765e-1;
    p = p * f - 2.4999993993e-1;
    p = p * f + 3.3333331174e-1;
    return f * z * p - 0.5 * z;
}

struct Parts { f: vec4<f32>, e: vec4<f32> }

// x = (1 + f) 2^e of positive finite x, subnormal ones too where the device keeps them.
fn parts_of(x: vec4<f32>) -> Parts {
    let tiny = x < vec4<f32>(1.1754944e-38);
    let bits = bitcast<vec4<u32>>(select(x, x * 16777216.0, tiny));
    // 0x3f3504f3 is sqrt(1/2): from there on the exponent counts.
    let shifted = bits - vec4<u32>(0x3f3504f3u);
    let e = bitcast<vec4<i32>>(shifted) >> vec4<u32>(23u);
    let m = bitcast<vec4<f32>>((shifted & vec4<u32>(0x007fffffu)) + vec4<u32>(0x3f3504f3u));
    return Parts(m - 1.0, vec4<f32>(e - select(vec4<i32>(0), vec4<i32>(24), tiny)));
}

// A logarithm of x, where y is that of positive finite x.
fn log_or_special(x: vec4<f32>, y: vec4<f32>) -> vec4<f32> {
    let zero_or_less = select(not_a_number(), -infinity(), x == vec4<f32>(0.0));
    let special = select(x, zero_or_less, x <= vec4<f32>(0.0));
    return select(y, special, (x <= vec4<f32>(0.0)) | !is_finite(x));
}

fn log_of(x: vec4<f32>) -> vec4<f32> {
    let p = parts_of(x);
    let small = log_tail(p.f) - p.e * 2.12194440e-4;
    return log_or_special(x, (p.f + small) + p.e * 0.693359375);
}

// log2 e = 1 + 0.4426950408889634, so that f itself stays exact.
fn log2_of(x: vec4<f32>) -> vec4<f32> {
    let p = parts_of(x);
    let t = log_tail(p.f);
    let small = (t * 0.4426950408889634 + p.f * 0.4426950408889634) + t;
    return log_or_special(x, (small + p.f) + p.e);
}

// log10 e and log10 2, each in two parts.
fn log10_of(x: vec4<f32>) -> vec4<f32> {
    let p = parts_of(x);
    let t = log_tail(p.f);
    let small = (p.e * 2.4874566398119521e-4 + (p.f + t) * 7.007319032518e-4) + t * 0.43359375;
    return log_or_special(x, (small + p.f * 0.43359375) + p.e * 0.30078125);
}

fn log1p_of(x: vec4<f32>) -> vec4<f32> {
    let near = (x > vec4<f32>(-0.29)) & (x < vec4<f32>(0.41));
    let y = select(log_of(1.0 + x), x + log_tail(x), near);
    return select(y, x, x == vec4<f32>(0.0));
}

// exp(x) / 2, which is finite up to log(2^129), where exp(x) is not.
fn half_exp_of(x: vec4<f32>) -> vec4<f32> {
    let n = exponent_of(x);
    return scaled(1.0 + small_expm1(rest_of(x, n)), vec4<i32>(n) - 1);
}

fn sinh_of(x: vec4<f32>) -> vec4<f32> {
    let a = abs(x);
    let t = expm1_of(min(a, vec4<f32>(20.0)));
    let y = select(0.5 * (t + t / (t + 1.0)), half_exp_of(a), a > vec4<f32>(15.0));
    return select(with_sign(y, x), x, is_nan(x));
}

fn cosh_of(x: vec4<f32>) -> vec4<f32> {
    let a = abs(x);
    let e = exp_of(min(a, vec4<f32>(20.0)));
    let y = select(0.5 * e + 0.5 / e, half_exp_of(a), a > vec4<f32>(15.0));
    return select(y, x, is_nan(x));
}

fn tanh_of(x: vec4<f32>) -> vec4<f32> {
    let t = expm1_of(2.0 * min(abs(x), vec4<f32>(12.0)));
    return select(with_sign(t / (t + 2.0), x), x, is_nan(x));
}

fn asinh_of(x: vec4<f32>) -> vec4<f32> {
    let a = abs(x);
    let b = min(a, vec4<f32>(1e9));
    let near = log1p_of(b + b * b / (1.0 + sqrt(1.0 + b * b)));
    let y = select(near, log_of(a) + 0.6931471805599453, a > vec4<f32>(1e9));
    return select(with_sign(y, x), x, is_nan(x));
}

fn acosh_of(x: vec4<f32>) -> vec4<f32> {
    let t = min(x, vec4<f32>(1e9)) - 1.0;
    let near = log1p_of(t + sqrt(2.0 * t + t * t));
    let y = select(near, log_of(x) + 0.6931471805599453, x > vec4<f32>(1e9));
    return select(select(y, not_a_number(), x < vec4<f32>(1.0)), x, is_nan(x));
}

fn atanh_of(x: vec4<f32>) -> vec4<f32> {
    let a = abs(x);
    let y = 0.5 * log1p_of(2.0 * a / (1.0 - a));
    let edge = select(infinity(), not_a_number(), a > vec4<f32>(1.0));
    let whole = select(with_sign(y, x), with_sign(edge, x), a >= vec4<f32>(1.0));
    return select(whole, x, is_nan(x));
}

// a to the power of b = 2^(b e) 2^(b log2 m): what rounds is the product's second part, and the
// first one where b e is no multiple of 2^-16.
fn power_of(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    let p = parts_of(abs(a));
    let t = log_tail(p.f);
    let l = (t * 0.4426950408889634 + p.f * 0.4426950408889634) + t + p.f;
    // Of 2^e the thousandth power is out of range already; both parts stay in proportion.
    let most = select(vec4<f32>(1e4), vec4<f32>(1e12), p.e == vec4<f32>(0.0));
    let power = clamp(b, -most, most);
    let whole = power * p.e;
    let n = round(whole);
    let part = clamp(power * l + (whole - n), vec4<f32>(-1e4), vec4<f32>(1e4));
    let m = round(part);
    let size = 1.0 + small_expm1((part - m) * 0.6931471805599453);
    let steps = vec4<i32>(clamp(n + m, vec4<f32>(-250.0), vec4<f32>(250.0)));
    return power_special(a, b, scaled(size, steps));
}

fn power_special(a: vec4<f32>, b: vec4<f32>, y: vec4<f32>) -> vec4<f32> {
    let zero = vec4<f32>(0.0);
    let one = vec4<f32>(1.0);
    let size = abs(a);
    let grows = (size > one) == (b > zero);
    let flat = size == one;
    let edge = (size == zero) | is_infinite(a) | is_infinite(b);
    var r = select(y, select(zero, infinity(), grows), edge);
    r = select(r, one, flat);
    let whole = (floor(b) == b) | is_infinite(b);
    let odd = whole & (abs(b) < vec4<f32>(16777216.0)) & (floor(b * 0.5) * 2.0 != b);
    let negative = (bitcast<vec4<u32>>(a) >> vec4<u32>(31u)) == vec4<u32>(1u);
    r = select(r, -r, negative & odd);
    r = select(r, not_a_number(), (a < zero) & !whole & !is_infinite(a));
    r = select(r, not_a_number(), is_nan(a) | is_nan(b));
    return select(r, one, (b == zero) | (a == one));
}
