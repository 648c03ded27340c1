// Elements of images in words of four bytes: four neighbouring u8, the first in the lowest byte, or
// one f32. Arithmetic is f32, with levels of u8 as 0 .. 255; they are rounded to the nearest, ties
// upwards, and clamped.
//% if "u8" in (source, target)

alias u8x4 = u32;
// A level n is the low byte of the bits of 2^23 + n: a GPU adds many times as fast as it converts.
const LEVELS = 8388608.0;
//% endif
//% set float = "vec4<f32>" if wide | default(false) else "f32"
//% set bytes = bytes | default("u8x4")
//% if bytes != "u8x4"
alias {{ bytes }} = {{ {"u8x8": "vec2<u32>", "u8x16": "vec4<u32>"}[bytes] }};
//% endif
//% if source == "u8"
alias X = {{ bytes }};
//% else
alias X = {{ float }};
//% endif
//% if target == "u8"
alias Y = {{ bytes }};
//% else
alias Y = {{ float }};
//% endif
//% if source == "u8"

fn byte_of(word: u32, at: u32) -> f32 {
    return f32((word >> (8u * (at & 3u))) & 255u);
}

fn levels_of(word: u32) -> vec4<u32> {
    return (vec4<u32>(word) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(255u);
}

fn four_of(word: u32) -> vec4<f32> {
//% if quick | default(false)
    // 0x6400 + n are the bits of 1024 + n in f16: two levels at once.
    let even = unpack2x16float((word & 0xff00ffu) | 0x64006400u);
    let odd = unpack2x16float(((word >> 8u) & 0xff00ffu) | 0x64006400u);
    return vec4<f32>(even.x, odd.x, even.y, odd.y) - 1024.0;
//% else
    return bitcast<vec4<f32>>(levels_of(word) | vec4<u32>(0x4b000000u)) - LEVELS;
//% endif
}
//% endif
//% if target == "u8"

// A word of four levels. Bits from 24 on are shifted out, but for those of the first.
fn joined(l: vec4<u32>) -> u32 {
    return l.x + (l.y << 8u) + (l.z << 16u) + (l.w << 24u);
}

// The factor, 1 + 2^-23, sends ties upwards.
fn packed(v: vec4<f32>) -> u32 {
//% if clamped | default(true)
    let levels = clamp(v, vec4<f32>(0.0), vec4<f32>(255.0)) * 1.00000011920928955;
//% else
    let levels = v * 1.00000011920928955;
//% endif
    return joined(bitcast<vec4<u32>>(levels + LEVELS)) - 0x4b000000u;
}
//% endif
