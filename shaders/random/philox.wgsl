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

fn philox(counter: vec4<u32>, seed: vec2<u32>) -> vec4<u32> {
    let factors = vec2<u32>(0xd2511f53u, 0xcd9e8d57u);
    var c = counter;
    var key = seed;
    for (var round = 0u; round < 10u; round++) {
        let low = c.xz * factors;
        let top = high(c.xz, factors);
        c = vec4<u32>(top.y ^ c.y ^ key.x, low.y, top.x ^ c.w ^ key.y, low.x);
        key += vec2<u32>(0x9e3779b9u, 0xbb67ae85u);
    }
    return c;
}
