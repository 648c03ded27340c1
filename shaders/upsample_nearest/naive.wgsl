// Nearest-neighbour enlargement of images (N, H, W, C) by a whole factor: pixel (i, j) of the result
// is pixel (i / factor, j / factor). One invocation a word of the result.
//% include "elementwise/flat.wgsl"

// row: words in a row of x; channels: words in a pixel.
struct Params { count: u32, row: u32, channels: u32, factor: u32 }

@group(0) @binding(0) var<storage, read> x: array<W>;
@group(0) @binding(1) var<storage, read_write> y: array<W>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let index = word_of(id);
    if (index >= params.count) { return; }
    let wide = params.row * params.factor;
    let line = index / wide / params.factor;
    let along = index % wide;
    let pixel = along / params.channels / params.factor;
    y[index] = x[line * params.row + pixel * params.channels + along % params.channels];
}
