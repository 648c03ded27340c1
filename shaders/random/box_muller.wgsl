// Numbers of other distributions from random words, in integers alone: fixed point, polynomials by
// Horner's rule, one conversion to f32 that is exact. So no engine can fuse, reorder or approximate
// anything, and the bits are the same on all. Qn is a fixed-point number of n bits behind the point.
//
// The polynomials interpolate log2(1 + f) / f and sin(pi x / 2) / x (in x^2) at Chebyshev's points of
// [0, 1], to 2^-32 and 2^-35, and 1 / sqrt(a) on [1/4, 1] to 2^-5, before three of Newton's steps.

// A positive number: m 2^-(base + shift), m from 2^30 (2^31 where `even` is not asked for) to 2^32; 0
// is m = 0.
struct Scaled { m: vec2<u32>, shift: vec2<u32>, base: vec2<u32> }

// -log2 of (w + 1) / 2^32, in Q30 where it is at most 1, else in Q26.
fn scaled_log(w: vec2<u32>, even: bool) -> Scaled {
    let n = w + 1u;
    let zeros = countLeadingZeros(n);
    let f = (n << (zeros & vec2<u32>(31u))) << vec2<u32>(1u);
    var p = vec2<u32>(3880715u);
    p = 27652985u - high(p, f);
    p = 92325738u - high(p, f);
    p = 196742391u - high(p, f);
    p = 312350848u - high(p, f);
    p = 415261089u - high(p, f);
    p = 509487427u - high(p, f);
    p = 618503402u - high(p, f);
    p = 774429133u - high(p, f);
    p = 1032715517u - high(p, f);
    p = 1549081885u - high(p, f);
    p = 3098164009u - high(p, f);
    let log = high(p, f);
    let near = (0x80000000u - log) >> vec2<u32>(1u);
    let far = ((zeros + 1u) << vec2<u32>(26u)) - (log >> vec2<u32>(5u));
    let small = zeros == vec2<u32>(0u);
    let d = select(select(far, near, small), vec2<u32>(0u), n == vec2<u32>(0u));
    let lead = countLeadingZeros(d) & vec2<u32>(31u);
    let shift = select(lead, lead & vec2<u32>(30u), even);
    return Scaled(d << shift, shift, select(vec2<u32>(26u), vec2<u32>(30u), small));
}

// m 2^-place as f32, rounded to 24 bits.
fn real_of(m: vec2<u32>, place: vec2<u32>) -> vec2<f32> {
    let drop = 8u - min(countLeadingZeros(m), vec2<u32>(8u));
    let half = (vec2<u32>(1u) << drop) >> vec2<u32>(1u);
    let scale = bitcast<vec2<f32>>((127u + drop - place) << vec2<u32>(23u));
    return vec2<f32>((m + half) >> drop) * scale;
}

// sqrt(-2 log u) in Q29, for u = (w + 1) / 2^32.
fn radius(w: vec2<u32>) -> vec2<u32> {
    let d = scaled_log(w, true);
    var y = 3146881609u - high(vec2<u32>(1206830324u), d.m);
    y = 3056448744u - high(y, d.m);
    y = (1650518956u - high(y, d.m)) << vec2<u32>(1u);
    for (var k = 0u; k < 3u; k++) {
        let t = high(high(y, y), d.m);
        y = high(y, (0x30000000u - t) << vec2<u32>(2u)) << vec2<u32>(1u);
    }
    // sqrt(2 log 2) in Q31; the root is in Q30.
    let root = high(high(d.m, y) << vec2<u32>(1u), vec2<u32>(2528468770u));
    let down = d.shift >> vec2<u32>(1u);
    let up = select(vec2<u32>(2u), vec2<u32>(0u), d.base == vec2<u32>(30u));
    return select(root >> (down - min(up, down)), root << (up - min(up, down)), up > down);
}

// sin(pi x / 2) in Q31 of x in Q32.
fn quarter_sine(x: vec2<u32>) -> vec2<u32> {
    let z = high(x, x);
    var p = vec2<u32>(7370u);
    p = 344144u - high(p, z);
    p = 10053783u - high(p, z);
    p = 171138563u - high(p, z);
    p = 1387197332u - high(p, z);
    p = 3373259426u - high(p, z);
    return high(p, x);
}

fn signed_real(m: vec2<u32>, negative: vec2<bool>) -> vec2<f32> {
    let v = real_of(m, vec2<u32>(28u));
    return select(v, -v, negative);
}

// Two normal numbers from two pairs of words each (Box and Muller 1958).
fn normal_of(w: vec4<u32>) -> vec4<f32> {
    let r = radius(w.xz);
    let quarter = w.yw >> vec2<u32>(30u);
    let x = (w.yw << vec2<u32>(2u)) | vec2<u32>(2u);
    let s = high(r, quarter_sine(x));
    let c = high(r, quarter_sine(0u - x));
    let odd = (quarter & vec2<u32>(1u)) == vec2<u32>(1u);
    let two = quarter >= vec2<u32>(2u);
    let a = signed_real(select(s, c, odd), two);
    let b = signed_real(select(c, s, odd), odd != two);
    return vec4<f32>(a.x, b.x, a.y, b.y);
}

// -log u for u = (w + 1) / 2^32.
fn exponential_of(w: vec2<u32>) -> vec2<f32> {
    let d = scaled_log(w, false);
    return real_of(high(d.m, vec2<u32>(2977044472u)), d.shift + d.base);
}
