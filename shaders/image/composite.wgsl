//% if premultiplied
// One RGBA image over another (Porter and Duff 1984, doi 10.1145/800031.808606), colours multiplied by alpha.
//% else
// One RGBA image over another (Porter and Duff 1984, doi 10.1145/800031.808606), colours apart from alpha.
//% endif
//% if source == "u8" and not premultiplied
// In Pillow's integers (`src/libImaging/AlphaComposite.c`), so that every level is the same.
//% endif
//% if floats
// Every number is whole and below 2^24, so that f32 is exact, and quicker than integers on GPUs.
//% endif
//% if floats
// Memory: four pixels a word of u8. Limits: 2^32 pixels.
//% else
// Memory: a pixel a word, of four u8 or four f32. Limits: 2^32 pixels.
//% endif
//% set wide = true
//% set target = source
//% include "image/words.wgsl"
//% include "arrays/combination/each.wgsl"

//% if floats
alias u8x16 = vec4<u32>;

//% endif
//% if floats
struct Params { count: u32, up: f32, down: f32 }
//% else
struct Params { count: u32 }
//% endif

//% if floats
@group(0) @binding(0) var<storage, read> below: array<u8x16>;
@group(0) @binding(1) var<storage, read> above: array<u8x16>;
@group(0) @binding(2) var<storage, read_write> y: array<u8x16>;
//% else
@group(0) @binding(0) var<storage, read> below: array<X>;
@group(0) @binding(1) var<storage, read> above: array<X>;
@group(0) @binding(2) var<storage, read_write> y: array<Y>;
//% endif
@group(0) @binding(3) var<uniform> params: Params;

//% if source == "u8" and not premultiplied
//% if floats
// Levels 0 and 2, and 1 and 3, each more by 1024: bits of f16.
fn evens_of(word: u32) -> vec2<f32> { return unpack2x16float((word & 0xff00ffu) | 0x64006400u); }

fn odds_of(word: u32) -> vec2<f32> { return evens_of(word >> 8u); }

// Of magnitudes below 2^22; params.up and params.down are 1.5 2^23, which no compiler may cancel.
fn nearest(v: f32) -> f32 { return (v + params.up) - params.down; }

// The highest byte is the level: (t >> 8 + t) >> 15 of t = sum is floor(257 t / 2^23).
fn mixed(s: f32, d: f32, part: f32) -> u32 {
    let sum = ((d - 1024.0) * 32640.0 + (16384.0 + LEVELS)) + (s - d) * part;
    return bitcast<u32>(sum) * 514u - 0x96000000u;
}

// floor(a 255 255 128 / all) in two steps, so that products stay below 2^24: first the nearest to
// a 255 255 / all, then 128 times what is left of it.
fn share(a: f32, all: f32) -> f32 {
    let inverse = 1.0 / all;
    let n = a * 65025.0;
    let high = nearest(n * inverse);
    let rest = (n - high * all) * 128.0;
    let low = nearest(rest * inverse);
    let whole = high * 128.0 + low;
    return select(whole, whole - 1.0, rest - low * all < 0.0);
}

fn over(above_word: u32, below_word: u32) -> u32 {
    let s0 = evens_of(above_word);
    let s1 = odds_of(above_word);
    let d0 = evens_of(below_word);
    let d1 = odds_of(below_word);
    let a = s1.y - 1024.0;
    let all = a * 255.0 + (d1.y - 1024.0) * (255.0 - a);
    let part = share(a, all);
    let x = mixed(s0.x, d0.x, part);
    let y = mixed(s1.x, d1.x, part);
    let z = mixed(s0.y, d0.y, part);
    let w = bitcast<u32>(all + (128.0 + LEVELS)) * 65792u;
    let made = (x >> 24u) | ((y >> 16u) & 0xff00u) | ((z >> 8u) & 0xff0000u) | (w & 0xff000000u);
    return select(made, below_word, above_word < 0x1000000u);
}

fn result(i: u32) -> u8x16 {
    let s = above[i];
    let d = below[i];
    return u8x16(over(s.x, d.x), over(s.y, d.y), over(s.z, d.z), over(s.w, d.w));
}
//% else
fn divided(v: u32) -> u32 {
    return ((v >> 8u) + v) >> 8u;
}

fn result(i: u32) -> Y {
    let s = above[i];
    let d = below[i];
    let a = s >> 24u;
    if (a == 0u) { return d; }
    let all = a * 255u + (d >> 24u) * (255u - a);
    let part = a * 255u * 255u * 128u / all;
    let rest = 255u * 128u - part;
    var made = divided(all + 0x80u) << 24u;
    for (var k = 0u; k < 24u; k += 8u) {
        let sum = ((s >> k) & 255u) * part + ((d >> k) & 255u) * rest;
        made |= (divided(sum + (0x80u << 7u)) >> 7u) << k;
    }
    return made;
}
//% endif
//% elif source == "u8"
fn result(i: u32) -> Y {
    let s = four_of(above[i]);
    return packed(s + four_of(below[i]) * ((255.0 - s.w) / 255.0));
}
//% else
fn result(i: u32) -> Y {
    let s = above[i];
    let d = below[i];
//% if premultiplied
    return s + d * (1.0 - s.w);
//% else
    let rest = d.w * (1.0 - s.w);
    let all = s.w + rest;
    if (all == 0.0) { return vec4<f32>(d.xyz, 0.0); }
    return vec4<f32>((s.xyz * s.w + d.xyz * rest) / all, all);
//% endif
}
//% endif
