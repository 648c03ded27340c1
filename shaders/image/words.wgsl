// Elements of images in words of four bytes: four neighbouring u8, the first in the lowest byte, or
// one f32. Arithmetic is f32, with levels of u8 as 0 .. 255; they are rounded to the nearest, ties
// upwards, and clamped.
//% if "u8" in (source, target)

alias u8x4 = u32;
//% endif
//% set float = "vec4<f32>" if wide | default(false) else "f32"
alias X = {{ "u8x4" if source == "u8" else float }};
alias Y = {{ "u8x4" if target == "u8" else float }};
//% if source == "u8"

fn byte_of(word: u32, at: u32) -> f32 {
    return f32((word >> (8u * (at & 3u))) & 255u);
}

fn four_of(word: u32) -> vec4<f32> {
    return vec4<f32>((vec4<u32>(word) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(255u));
}
//% endif
//% if target == "u8"

fn packed(v: vec4<f32>) -> u32 {
    let l = vec4<u32>(clamp(v, vec4<f32>(0.0), vec4<f32>(255.0)) + 0.5);
    return l.x | (l.y << 8u) | (l.z << 16u) | (l.w << 24u);
}
//% endif
