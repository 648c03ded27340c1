// Trigonometric functions in f32, on any device alike: WGSL's own are good to 2^-11 and no further
// than pi. An angle is reduced to a quarter turn by Cody and Waite's constants in three parts, beyond
// 8192 by Payne and Hanek's method (1983) in integers; then Moshier's polynomials (Cephes, sinf,
// atanf, asinf).

struct Turn { quarter: vec4<u32>, rest: vec4<f32> }

fn high_product(a: u32, b: u32) -> u32 {
    let low = (a & 0xffffu) * (b & 0xffffu);
    let x = (a >> 16u) * (b & 0xffffu) + (low >> 16u);
    let y = (a & 0xffffu) * (b >> 16u) + (x & 0xffffu);
    return (a >> 16u) * (b >> 16u) + (x >> 16u) + (y >> 16u);
}

// 32 bits of 2 / pi from bit `first` behind the point on; bits before the point are 0.
fn two_over_pi(first: i32) -> u32 {
    var words = array<u32, 8>(
        0u, 0xa2f9836eu, 0x4e441529u, 0xfc2757d1u, 0xf534ddc0u, 0xdb629599u, 0x3c439041u, 0xfe5163abu,
    );
    let at = first + 32;
    let word = u32(at) >> 5u;
    let shift = u32(at) & 31u;
    let high = words[word] << shift;
    return select(high | (words[word + 1u] >> (32u - shift)), high, shift == 0u);
}

// Quarter turns in x >= 8192 modulo 4, and the rest as an angle: x = m 2^e with m below 2^24. Bits of
// 2 / pi that count whole multiples of 4 are left out; 96 bits behind them are kept.
fn far_turn(x: f32) -> vec2<f32> {
    let bits = bitcast<u32>(x);
    let e = i32(bits >> 23u) - 150;
    let m = (bits & 0x007fffffu) | 0x00800000u;
    let first = e - 2;
    let a = two_over_pi(first);
    let b = two_over_pi(first + 32);
    let c = two_over_pi(first + 64);
    let low = m * b + high_product(m, c);
    let carry = select(0u, 1u, low < m * b);
    let high = m * a + high_product(m, b) + carry;
    // high is the turn in units of 2^-30 quarters; to the nearest quarter, then signed.
    let quarter = (high + 0x20000000u) >> 30u;
    let rest = (high << 2u) | (low >> 30u);
    let fine = low << 2u;
    let near = f32(bitcast<i32>(rest)) + f32(fine) * 2.3283064365386963e-10;
    return vec2<f32>(f32(quarter & 3u), near * 3.657295198167899e-10);
}

// Quarters are found by adding 3 2^22, behind which a float has no bits: their last two are those of n.
fn turn_of(x: vec4<f32>) -> Turn {
    let n = round(x * 0.6366197723675814);
    var rest = ((x - n * 1.5703125) - n * 4.837512969970703e-4) - n * 7.549789948768648e-8;
    var quarter = bitcast<vec4<u32>>(n + 12582912.0);
    // Beyond 8192, infinite or NaN.
    let far = (bitcast<vec4<u32>>(x) & vec4<u32>(0x7fffffffu)) > vec4<u32>(0x46000000u);
    if (any(far)) {
        let size = max(abs(x), vec4<f32>(8192.0));
        let a = far_turn(size.x);
        let b = far_turn(size.y);
        let c = far_turn(size.z);
        let d = far_turn(size.w);
        let quarters = vec4<u32>(vec4<f32>(a.x, b.x, c.x, d.x));
        let angle = select(not_a_number(), vec4<f32>(a.y, b.y, c.y, d.y), is_finite(x));
        let negative = x < vec4<f32>(0.0);
        quarter = select(quarter, select(quarters, 0u - quarters, negative), far);
        rest = select(rest, select(angle, -angle, negative), far);
    }
    return Turn(quarter, rest);
}

fn sine_part(r: vec4<f32>) -> vec4<f32> {
    let z = r * r;
    return ((-1.9515295891e-4 * z + 8.3321608736e-3) * z - 1.6666654611e-1) * z * r + r;
}

fn cosine_part(r: vec4<f32>) -> vec4<f32> {
    let z = r * r;
    let p = (2.443315711809948e-5 * z - 1.388731625493765e-3) * z + 4.166664568298827e-2;
    return (p * z * z - 0.5 * z) + 1.0;
}

// The sine of x and `ahead` quarter turns.
fn sine_ahead(t: Turn, ahead: u32) -> vec4<f32> {
    let q = t.quarter + vec4<u32>(ahead);
    let y = select(sine_part(t.rest), cosine_part(t.rest), (q & vec4<u32>(1u)) == vec4<u32>(1u));
    return bitcast<vec4<f32>>(bitcast<vec4<u32>>(y) ^ ((q & vec4<u32>(2u)) << vec4<u32>(30u)));
}

fn sin_of(x: vec4<f32>) -> vec4<f32> {
    return select(sine_ahead(turn_of(x), 0u), x, abs(x) < vec4<f32>(1e-5));
}

fn cos_of(x: vec4<f32>) -> vec4<f32> { return sine_ahead(turn_of(x), 1u); }

fn tan_of(x: vec4<f32>) -> vec4<f32> {
    let t = turn_of(x);
    let y = sine_ahead(t, 0u) / sine_ahead(t, 1u);
    return select(y, x, abs(x) < vec4<f32>(1e-5));
}

// The arctangent of y / x for y, x >= 0, not both 0.
fn angle_of(y: vec4<f32>, x: vec4<f32>) -> vec4<f32> {
    let steep = y > x * 2.414213562373095;
    let middle = (y > x * 0.4142135623730950) & !steep;
    let top = select(select(y, y - x, middle), -x, steep);
    let bottom = select(select(x, y + x, middle), y, steep);
    let t = top / bottom;
    let z = t * t;
    var p = ((8.05374449538e-2 * z - 1.38776856032e-1) * z + 1.99777106478e-1) * z;
    p = (p - 3.33329491539e-1) * z * t + t;
    let add = select(vec4<f32>(0.0), vec4<f32>(0.7853981633974483), middle);
    return select(add, vec4<f32>(1.5707963267948966), steep) + p;
}

fn atan_of(x: vec4<f32>) -> vec4<f32> {
    let y = select(angle_of(abs(x), vec4<f32>(1.0)), vec4<f32>(1.5707964), is_infinite(x));
    return select(with_sign(y, x), x, is_nan(x) | (abs(x) < vec4<f32>(1e-5)));
}

fn atan2_of(y: vec4<f32>, x: vec4<f32>) -> vec4<f32> {
    // Both the same infinity count as equal; sizes are brought where sums neither overflow nor vanish.
    let both = is_infinite(y) & is_infinite(x);
    let great = max(abs(y), abs(x));
    let factor = select(
        select(vec4<f32>(1.0), vec4<f32>(0.0625), great > vec4<f32>(1e37)),
        vec4<f32>(16777216.0), great < vec4<f32>(1e-30),
    );
    let a = select(abs(y) * factor, vec4<f32>(1.0), both);
    let b = select(abs(x) * factor, vec4<f32>(1.0), both);
    let steep = is_infinite(y) & !both;
    let level = is_infinite(x) & !both;
    let none = great == vec4<f32>(0.0);
    let one = vec4<f32>(1.0);
    var angle = angle_of(
        select(a, one, steep | level), select(b, one, steep | level | none),
    );
    angle = select(angle, vec4<f32>(1.5707964), steep);
    angle = select(angle, vec4<f32>(0.0), level | none);
    let left = (bitcast<vec4<u32>>(x) >> vec4<u32>(31u)) == vec4<u32>(1u);
    angle = select(angle, 3.1415926535897932 - angle, left);
    return select(with_sign(angle, y), not_a_number(), is_nan(y) | is_nan(x));
}

// The arcsine of t >= 0, at most 1/2.
fn small_asin(t: vec4<f32>) -> vec4<f32> {
    let z = t * t;
    var p = vec4<f32>(4.2163199048e-2);
    p = p * z + 2.4181311049e-2;
    p = p * z + 4.5470025998e-2;
    p = p * z + 7.4953002686e-2;
    p = p * z + 1.6666752422e-1;
    return p * z * t + t;
}

fn asin_of(x: vec4<f32>) -> vec4<f32> {
    let a = abs(x);
    let far = a > vec4<f32>(0.5);
    let p = small_asin(select(a, sqrt(max(0.5 * (1.0 - a), vec4<f32>(0.0))), far));
    let y = select(p, 1.5707963267948966 - 2.0 * p, far);
    return select(with_sign(y, x), not_a_number(), (a > vec4<f32>(1.0)) | is_nan(x));
}

fn acos_of(x: vec4<f32>) -> vec4<f32> {
    let a = abs(x);
    let far = a > vec4<f32>(0.5);
    let p = small_asin(select(a, sqrt(max(0.5 * (1.0 - a), vec4<f32>(0.0))), far));
    let outer = select(2.0 * p, 3.1415926535897932 - 2.0 * p, x < vec4<f32>(0.0));
    let y = select(1.5707963267948966 - with_sign(p, x), outer, far);
    return select(y, not_a_number(), (a > vec4<f32>(1.0)) | is_nan(x));
}
