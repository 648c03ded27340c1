// Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"): ten rounds of
// products turn a counter of four words into four random words. Integers only: the same on every device.

fn high(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    let mask = vec2<u32>(0xffffu);
    let by = vec2<u32>(16u);
    let low = (a & mask) * (b & mask);
    let x = (a >> by) * (b & mask) + (low >> by);
    let y = (a & mask) * (b >> by) + (x & mask);
    return (a >> by) * (b >> by) + (x >> by) + (y >> by);
}

// High words of a.x 0xd2511f53 and of a.y 0xcd9e8d57, the latter as 2^32 less 0x326172a9: the halves of
// these add up to less than 2^16, so that the sum of the products in the middle fits a word. What a.y is
// less by is rounded up: 2^32 - 1 is added to its product, half by half.
fn tops(a: vec2<u32>) -> vec2<u32> {
    let high_by = vec2<u32>(0xd251u, 0x3261u);
    let low_by = vec2<u32>(0x1f53u, 0x72a9u);
    let upward = vec2<u32>(0u, 0xffffu);
    let half = vec2<u32>(16u);
    let low = a & vec2<u32>(0xffffu);
    let up = a >> half;
    let middle = up * low_by + (((low * low_by + upward) >> half) + upward) + low * high_by;
    let top = up * high_by + (middle >> half);
    return vec2<u32>(top.x, a.y - top.y);
}

fn philox(counter: vec4<u32>, seed: vec2<u32>) -> vec4<u32> {
    let factors = vec2<u32>(0xd2511f53u, 0xcd9e8d57u);
    var c = counter;
    var key = seed;
    for (var round = 0u; round < 10u; round++) {
        let low = c.xz * factors;
        let top = tops(c.xz);
        c = vec4<u32>(top.y ^ c.y ^ key.x, low.y, top.x ^ c.w ^ key.y, low.x);
        key += vec2<u32>(0x9e3779b9u, 0xbb67ae85u);
    }
    return c;
}
