// Nearest-neighbour enlargement of images (N, H, W, C) by a whole factor: pixel (i, j) of the result
// is pixel (i / factor, j / factor). One invocation a word of x, which it writes factor^2 times.
//% include "arrays/combination/flat.wgsl"

// count: words of x; width: pixels in a line of x; channels: words in a pixel.
struct Params { count: u32, width: u32, channels: u32, factor: u32 }

@group(0) @binding(0) var<storage, read> x: array<W>;
@group(0) @binding(1) var<storage, read_write> y: array<W>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let index = word_of(id);
    if (index >= params.count) { return; }
    let pixel = index / params.channels;
    let line = pixel / params.width;
    // A line of x becomes `factor` lines, each `factor` times as long.
    let pitch = params.width * params.factor * params.channels;
    let column = (pixel - line * params.width) * params.factor * params.channels;
    var at = line * params.factor * pitch + column + index - pixel * params.channels;
    let value = x[index];
    for (var i = 0u; i < params.factor; i++) {
        for (var j = 0u; j < params.factor; j++) {
            y[at + j * params.channels] = value;
        }
        at += pitch;
    }
}
