// One RGBA image over another (Porter and Duff 1984, doi 10.1145/800031.808606), {{ "colours multiplied by alpha" if premultiplied else "colours apart from alpha" }}.
//% if source == "u8" and not premultiplied
// In Pillow's integers (`src/libImaging/AlphaComposite.c`), so that every level is the same.
//% endif
// Memory: a pixel a word, of four u8 or four f32. Limits: 2^32 pixels.
//% set wide = true
//% set target = source
//% include "image/words.wgsl"
//% include "elementwise/each.wgsl"

struct Params { count: u32 }

@group(0) @binding(0) var<storage, read> below: array<X>;
@group(0) @binding(1) var<storage, read> above: array<X>;
@group(0) @binding(2) var<storage, read_write> y: array<Y>;
@group(0) @binding(3) var<uniform> params: Params;

//% if source == "u8" and not premultiplied
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
