//% if halves
// Levels two in a word, elements 0 and 2 of a cell and 1 and 3: f16 of 1024 + level.
//% else
// Levels two in a word, elements 0 and 2 of a cell and 1 and 3: integers of 16 bits.
//% endif

fn pairs_of(word: u32) -> F {
//% if halves
    return (vec2<u32>(word, word >> 8u) & vec2<u32>(0xff00ffu)) | vec2<u32>(0x64006400u);
//% else
    return (vec2<u32>(word, word >> 8u) & vec2<u32>(0xff00ffu)) | vec2<u32>(0u);
//% endif
}
//% if halves
//% for fold in ("min", "max")

fn {{ fold }}_two(a: u32, b: u32) -> u32 {
    return bitcast<u32>({{ fold }}(bitcast<vec2<f16>>(a), bitcast<vec2<f16>>(b)));
}

fn {{ fold }}_of(a: F, b: F) -> F {
    return F({{ fold }}_two(a.x, b.x), {{ fold }}_two(a.y, b.y));
}
//% endfor

fn word_of(v: F) -> u32 {
    return (v.x & 0xff00ffu) | ((v.y << 8u) & 0xff00ff00u);
}
//% elif centred | default(false)

// A column's sum in f16, each level less 128: sums of up to 16 of those are exact.
fn centred(v: F) -> F {
    return F(less(v.x), less(v.y));
}

fn less(v: u32) -> u32 {
    return bitcast<u32>(bitcast<vec2<f16>>(v | 0x64006400u) - vec2<f16>({{ 1024 + 128 * taps_y }}.0h));
}

fn plus_two(a: u32, b: u32) -> u32 {
    return bitcast<u32>(bitcast<vec2<f16>>(a) + bitcast<vec2<f16>>(b));
}

fn plus(a: F, b: F) -> F {
    return F(plus_two(a.x, b.x), plus_two(a.y, b.y));
}

// From 1024 on f16 are whole: the level is in the low byte.
fn rounded(sum: u32) -> u32 {
    return bitcast<u32>(fma(bitcast<vec2<f16>>(sum), vec2<f16>({{ 1 / (taps_y * taps_x) }}), vec2<f16>(1152.0h)));
}

fn word_of(v: F) -> u32 {
    return (rounded(v.x) & 0xff00ffu) | ((rounded(v.y) << 8u) & 0xff00ff00u);
}
//% else

// Sums over the number of taps n, rounded, ties upwards: 2^24 / n is rounded up by less than 1, which
// moves a sum of up to 255 n by less than the 1 / 2 n that lies between it and a tie, for n below 181.
fn word_of(sums: F) -> u32 {
    let by = vec2<u32>({{ (2**24 + taps_y * taps_x - 1) // (taps_y * taps_x) }}u);
    let half = vec2<u32>(0x800000u);
    let low = (sums & vec2<u32>(0xffffu)) * by + half;
    let high = (sums >> vec2<u32>(16u)) * by + half;
    let second = (low.y >> 16u) & 0xff00u;
    let third = (high.x >> 8u) & 0xff0000u;
    return (low.x >> 24u) | second | third | (high.y & 0xff000000u);
}
//% endif
