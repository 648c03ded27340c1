// The mean of each channel over all pixels of an image, in f32.
//
// A workgroup has 16 neighbouring words of channels and {{ slices }} slice(s) of the pixels; a lane adds up its
//% if slices > 1
// slice, then one lane a word adds the slices through workgroup memory. The order depends on one image alone.
//% else
// slice, then one lane a word adds the slices. The order depends on one image alone.
//% endif
// Memory: x is (images, pixels, units) words, y (images, units). Workgroup memory: up to 4 KiB.
// Limits: 2^32 words.
//% include "arrays/combination/flat.wgsl"

// blocks: groups of 16 words in a pixel.
struct Params { images: u32, units: u32, pixels: u32, blocks: u32 }

@group(0) @binding(0) var<storage, read> x: array<W>;
@group(0) @binding(1) var<storage, read_write> y: array<W>;
@group(0) @binding(2) var<uniform> params: Params;

const SIDE = 16u;
const SLICES = {{ slices }}u;
//% if slices > 1

var<workgroup> sums: array<F, {{ 16 * slices }}>;
//% endif

@compute @workgroup_size({{ 16 * slices }})
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let group = workgroup.x + workgroup.y * 65535u;
    let image = group / params.blocks;
    let c = group % params.blocks * SIDE + t % SIDE;
    let column = min(c, params.units - 1u);
    let first = min(image, params.images - 1u) * params.pixels;
    // Four sums, so that four loads are under way.
//% for k in range(4)
    var s{{ k }} = F();
//% endfor
    var p = t / SIDE;
    for (; p + 3u * SLICES < params.pixels; p += 4u * SLICES) {
//% for k in range(4)
        s{{ k }} += F(x[(first + p + {{ k }}u * SLICES) * params.units + column]);
//% endfor
    }
    for (; p < params.pixels; p += SLICES) { s0 += F(x[(first + p) * params.units + column]); }
    var sum = (s0 + s1) + (s2 + s3);
//% if slices > 1
    sums[t] = sum;
    workgroupBarrier();
    if (t >= SIDE) { return; }
    for (var k = 1u; k < SLICES; k++) { sum += sums[k * SIDE + t]; }
//% endif
    if (image < params.images && c < params.units) {
        y[image * params.units + c] = W(sum / f32(params.pixels));
    }
}
