// Values in [-1, 1] to grey levels 0 .. 255: round((x / 2 + 1/2) * 255), ties to even, clamped.
// Four elements a word, packed into one word of the result, the first in its lowest byte.
//% include "arrays/combination/flat.wgsl"
//% include "arrays/combination/each.wgsl"

alias u8x4 = u32;

struct Params { count: u32 }

@group(0) @binding(0) var<storage, read> x: array<W>;
@group(0) @binding(1) var<storage, read_write> y: array<u8x4>;
@group(0) @binding(2) var<uniform> params: Params;

fn result(i: u32) -> u32 {
    let level = vec4<u32>(clamp(round((F(x[i]) * 0.5 + 0.5) * 255.0), F(0.0), F(255.0)));
    return level.x | (level.y << 8u) | (level.z << 16u) | (level.w << 24u);
}
