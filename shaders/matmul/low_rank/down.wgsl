// The narrow half of a low-rank update: the window of each pixel times a thin matrix, which its image chooses.
// An invocation makes four ranks of a pixel, channel by channel, in f32 whatever the storage type.
//
// Layout: x (images, height, width, c1) and x2 (images, height, width, c2) of the scalar S; down (slots,
// kernel height, kernel width, c1 + c2, ranks) in words of four; chosen has the slot of each image, or
// NONE; t (images, out height, out width, ranks) in f32. Images that choose none are left as they are.
// Limits: ranks a multiple of 4; 2^32 - 2^11 words of t, and 2^32 elements of down.
//% if scalar == "f16"
enable f16;
//% endif
alias S = {{ scalar }};

struct Params {
    count: u32, ranks: u32, // words of t, and of one of its rows
    height: u32, width: u32, view_height: u32, view_width: u32, out_height: u32, out_width: u32,
    c1: u32, c2: u32, kernel_height: u32, kernel_width: u32, stride: u32, scale: u32,
    pad_top: u32, pad_left: u32, wrap_y: u32, wrap_x: u32,
}

@group(0) @binding(0) var<storage, read> x: array<S>;
//% if two
@group(0) @binding(1) var<storage, read> x2: array<S>;
//% endif
@group(0) @binding(2) var<storage, read> down: array<vec4<S>>;
@group(0) @binding(3) var<storage, read> chosen: array<u32>;
@group(0) @binding(4) var<storage, read_write> t: array<vec4<f32>>;
@group(0) @binding(5) var<uniform> params: Params;

const NONE = 0xffffffffu;

// A coordinate, counted from `before` ahead of the image: inside of it, or NONE. An axis that wraps round
// has the opposite side beyond an edge.
fn inside(at: u32, before: u32, size: u32, wraps: u32) -> u32 {
    if (wraps != 0u) { return (at + size - before % size) % size; }
    return select(NONE, at - before, at >= before && at - before < size);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let index = id.x + id.y * (65535u * 64u);
    if (index >= params.count) { return; }
    let word = index % params.ranks;
    let pixel = index / params.ranks;
    let line = pixel / params.out_width;
    let image = line / params.out_height;
    let slot = chosen[image];
    if (slot == NONE) { return; }
    let top = line % params.out_height * params.stride;
    let left = pixel % params.out_width * params.stride;
    let channels = params.c1 + params.c2;
    var k = slot * params.kernel_height * params.kernel_width * channels;
    var sum = vec4<f32>();
    for (var i = 0u; i < params.kernel_height; i++) {
        let y = inside(top + i, params.pad_top, params.view_height, params.wrap_y);
        for (var j = 0u; j < params.kernel_width; j++) {
            let across = inside(left + j, params.pad_left, params.view_width, params.wrap_x);
            if (y != NONE && across != NONE) {
                let at = (image * params.height + y / params.scale) * params.width + across / params.scale;
                for (var c = 0u; c < params.c1; c++) {
                    sum = fma(vec4<f32>(f32(x[at * params.c1 + c])), vec4<f32>(down[(k + c) * params.ranks + word]), sum);
                }
//% if two
                let more = k + params.c1;
                for (var c = 0u; c < params.c2; c++) {
                    sum = fma(vec4<f32>(f32(x2[at * params.c2 + c])), vec4<f32>(down[(more + c) * params.ranks + word]), sum);
                }
//% endif
            }
            k += channels;
        }
    }
    t[index] = sum;
}
