// One Jacobi rotation, and the pairs of rows in a round.
//
// x' = x - s (y + h x), y' = y + s (x - h y) with h = s / (1 + c): the cosine is 1 less a small number,
// so that rounding does not add up over many small rotations (Rutishauser 1966, Numer. Math. 9).

// (s, h) that makes the inner product `xy` of x and y zero, `xx` and `yy` being their own.
fn rotation(xx: f32, yy: f32, xy: f32) -> vec2<f32> {
    let zeta = 0.5 * (yy - xx) / xy;
    let t = select(1.0, -1.0, zeta < 0.0) / (abs(zeta) + sqrt(1.0 + min(zeta * zeta, 1e38)));
    let square = 1.0 + t * t;
    // inverseSqrt may be off by 2 units: one step of Newton's.
    let rough = inverseSqrt(square);
    let c = rough * (1.5 - 0.5 * square * rough * rough);
    let s = t * c;
    return vec2<f32>(s, s / (1.0 + c));
}

fn turned_x(x: f32, y: f32, r: vec2<f32>) -> f32 { return x - r.x * (y + r.y * x); }
fn turned_y(x: f32, y: f32, r: vec2<f32>) -> f32 { return y + r.x * (x - r.y * y); }

// The two of `count` (even) players that meet as pair `i` in a round of a round-robin tournament:
// in count - 1 rounds everyone meets everyone once.
fn pair_of(i: u32, round: u32, count: u32) -> vec2<u32> {
    let ring = count - 1u;
    if (i == 0u) { return vec2<u32>(round, ring); }
    let pair = vec2<u32>(round + i, round + ring - i);
    return pair - select(vec2<u32>(), vec2<u32>(ring), pair >= vec2<u32>(ring));
}

// 2^e and 2^-e with the largest element `peak` times the second in [1, 2).
fn powers_of(peak: u32) -> vec2<f32> {
    let e = select(clamp(peak >> 23u, 2u, 252u), 127u, peak == 0u);
    return vec2<f32>(bitcast<f32>(e << 23u), bitcast<f32>((254u - e) << 23u));
}
