// Normal numbers from random words by the inverse of the distribution, in integers alone, so that the bits are the
// same on all devices; one conversion to f32 and a product with a power of two are exact.
//
// The upper bit of a word w is the sign, the others say how much lies beyond: n 2^-33 for the odd number n = 2 w + 1.
// The place of its highest bit and the four bits behind it choose one of 512 cubics (hierarchical segments: Lee,
// Cheung, Villasenor and Luk 2006), the 27 bits behind those are t in [0, 1): value - t (slope - t (c - t d)), with t
// in 16 bits where that is enough.
//
// Memory: the result in words of four; an entry of the table is twice the value and 1, the slope (both in 2^-7 of
// the result's last bit), c in 2^-2 and d in 2^-4 of it, 16 bits each, and the bits of the scale of the result.
// Workgroup memory: 8 KiB. Limits: 2^34 numbers; a row of 65535 workgroups, then the next.
//% include "random/philox.wgsl"

struct Params {
    count: u32,
    draw: u32,
    stream: u32,
    seed: vec2<u32>,
    shift: f32,
    scale: f32,
}

@group(0) @binding(0) var<storage, read> table: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(2) var<uniform> params: Params;

const LANES = {{ lanes }}u;

var<workgroup> cubics: array<vec4<u32>, 512>;

fn normal_of(w: vec4<u32>) -> vec4<f32> {
    let n = (w << vec4<u32>(1u)) | vec4<u32>(1u);
    let zeros = countLeadingZeros(n);
    let m = n << zeros;
    let at = (zeros << vec4<u32>(4u)) + ((m >> vec4<u32>(27u)) & vec4<u32>(15u));
    let a = cubics[at.x];
    let b = cubics[at.y];
    let c = cubics[at.z];
    let d = cubics[at.w];
    let t = (m >> vec4<u32>(11u)) & vec4<u32>(0xffffu);
    let rest = m & vec4<u32>(0x7ffu);
    let both = vec4<u32>(a.z, b.z, c.z, d.z);
    let second = (both & vec4<u32>(0xffffu)) - (((both >> vec4<u32>(16u)) * t) >> vec4<u32>(18u));
    let slope = vec4<u32>(a.y, b.y, c.y, d.y) - ((second * t) >> vec4<u32>(11u));
    let up = slope >> vec4<u32>(15u);
    let fall = up * t + (((slope & vec4<u32>(0x7fffu)) * t) >> vec4<u32>(15u)) + ((up * rest) >> vec4<u32>(11u));
    let v = vec4<f32>((vec4<u32>(a.x, b.x, c.x, d.x) - fall) >> vec4<u32>(8u));
    let scaled = v * bitcast<vec4<f32>>(vec4<u32>(a.w, b.w, c.w, d.w));
    return bitcast<vec4<f32>>(bitcast<vec4<u32>>(scaled) | (w & vec4<u32>(0x80000000u)));
}

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    for (var k = t; k < 512u; k += LANES) { cubics[k] = table[k]; }
    workgroupBarrier();
    let begin = (group.x + group.y * 65535u) * ({{ each }}u * LANES) + t;
    for (var k = 0u; k < {{ each }}u; k++) {
        let i = begin + k * LANES;
        if (i < params.count) {
            let v = normal_of(philox(vec4<u32>(i, 0u, params.draw, params.stream), params.seed));
//% if affine
            y[i] = params.shift + params.scale * v;
//% else
            y[i] = v;
//% endif
        }
    }
}
