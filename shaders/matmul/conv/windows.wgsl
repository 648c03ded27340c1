// The windows of a convolution with few channels, written out as the rows of a matrix.
//
// Row m has the taps of result m one after the other, with all channels of each, then zeros up to a
// multiple of 8 numbers. An invocation writes 8 of them. The product that follows then reads whole
// rows, where single channels of a tap would be too short for the card's copy engine.
//
// Layout: x (images, height, width, channels), y (m, 8 * words), row-major.
// Limits: f16. Outside of the image there are zeros.
enable f16;

struct Params {
    count: u32,                         // of 8 numbers of the result
    words: u32,                         // of 8 numbers of a row
    channels: u32,
    k: u32,                             // taps times channels
    height: u32, width: u32, out_height: u32, out_width: u32,
    kernel_width: u32, stride: u32, pad_left: u32, pad_top: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f16>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<f16>>;
@group(0) @binding(2) var<uniform> params: Params;

// Number k of the window of result m.
fn number(m: u32, k: u32) -> f16 {
    if k >= params.k { return 0.0h; }
    let tap = k / params.channels;
    let place = m % (params.out_height * params.out_width);
    // What lies left of or above the image wraps to a large number.
    let column = place % params.out_width * params.stride + tap % params.kernel_width - params.pad_left;
    let row = place / params.out_width * params.stride + tap / params.kernel_width - params.pad_top;
    if column >= params.width || row >= params.height { return 0.0h; }
    let image = m / (params.out_height * params.out_width);
    return x[((image * params.height + row) * params.width + column) * params.channels + k % params.channels];
}

fn four(m: u32, k: u32) -> vec4<f16> {
    return vec4(number(m, k), number(m, k + 1), number(m, k + 2), number(m, k + 3));
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let i = id.x + id.y * (65535 * 64);
    if i >= params.count { return; }
    let m = i / params.words;
    let k = i % params.words * 8;
    y[2 * i] = four(m, k);
    y[2 * i + 1] = four(m, k + 4);
}
