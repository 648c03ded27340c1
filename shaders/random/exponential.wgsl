// Exponential numbers from random words, in integers alone: fixed point, a polynomial by Horner's rule,
// one conversion to f32 that is exact. So no engine can fuse, reorder or approximate anything, and the
// bits are the same on all. Qn is a fixed-point number of n bits behind the point.
//
// The polynomial interpolates log2(1 + f) / f at Chebyshev's points of [0, 1], to 2^-32.

// A positive number: m 2^-(base + shift), m from 2^31 to 2^32; 0 is m = 0.
struct Scaled { m: vec2<u32>, shift: vec2<u32>, base: vec2<u32> }

// -log2 of (w + 1) / 2^32, in Q30 where it is at most 1, else in Q26.
fn scaled_log(w: vec2<u32>) -> Scaled {
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
    let shift = countLeadingZeros(d) & vec2<u32>(31u);
    return Scaled(d << shift, shift, select(vec2<u32>(26u), vec2<u32>(30u), small));
}

// m 2^-place as f32, rounded to 24 bits.
fn real_of(m: vec2<u32>, place: vec2<u32>) -> vec2<f32> {
    let drop = 8u - min(countLeadingZeros(m), vec2<u32>(8u));
    let half = (vec2<u32>(1u) << drop) >> vec2<u32>(1u);
    let scale = bitcast<vec2<f32>>((127u + drop - place) << vec2<u32>(23u));
    return vec2<f32>((m + half) >> drop) * scale;
}

// -log u for u = (w + 1) / 2^32.
fn exponential_of(w: vec2<u32>) -> vec2<f32> {
    let d = scaled_log(w);
    return real_of(high(d.m, vec2<u32>(2977044472u)), d.shift + d.base);
}
