// Statistics of group norm, one group of one image an invocation: the readable truth. The second
// pass sums around the mean, so that a large one does not cancel, and mends its rounding. shaders/nn/group_norm/normalise.wgsl uses them.
//
// Memory: x is (images, pixels, channels) of the storage scalar S, x2 the second source, whose
// channels follow those of x; statistics is (images, groups) of (mean, 1 / sqrt(variance + eps)).
// Limits: 2^32 elements; plain sums, so that groups of more than some 10^5 elements lose digits.
//% if scalar == "f16"
enable f16;
//% endif

alias S = {{ scalar }};

// c1, c2: channels of x and x2; size: channels of a group.
struct Params {
    count: u32,
    groups: u32,
    size: u32,
    pixels: u32,
    c1: u32,
    c2: u32,
    eps: f32,
}

@group(0) @binding(0) var<storage, read> x: array<S>;
//% if two
@group(0) @binding(1) var<storage, read> x2: array<S>;
//% endif
@group(0) @binding(2) var<storage, read_write> statistics: array<vec2<f32>>;
@group(0) @binding(3) var<uniform> params: Params;

fn value(pixel: u32, channel: u32) -> f32 {
//% if two
    if (channel >= params.c1) {
        return f32(x2[pixel * params.c2 + channel - params.c1]);
    }
//% endif
    return f32(x[pixel * params.c1 + channel]);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let index = id.x + id.y * (65535u * 64u);
    if (index >= params.count) { return; }
    let first = index / params.groups * params.pixels;
    let channel = index % params.groups * params.size;
    let count = f32(params.pixels * params.size);
    var sum = 0.0;
    for (var p = 0u; p < params.pixels; p++) {
        for (var c = 0u; c < params.size; c++) {
            sum += value(first + p, channel + c);
        }
    }
    let mean = sum / count;
    var rest = 0.0;
    var squares = 0.0;
    for (var p = 0u; p < params.pixels; p++) {
        for (var c = 0u; c < params.size; c++) {
            let d = value(first + p, channel + c) - mean;
            rest += d;
            squares += d * d;
        }
    }
    rest /= count;
    let variance = max(squares / count - rest * rest, 0.0);
    statistics[index] = vec2<f32>(mean + rest, 1.0 / sqrt(variance + params.eps));
}
