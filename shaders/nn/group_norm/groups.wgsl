// Second step of group norm on software renderers: merges the moments of a group's channels over all
// runs, one invocation a group, and gives mean and 1 / sqrt(variance + eps).
//
// Memory: partials is (images, runs, channels) of (mean, spread); statistics is (images, groups) of
// (mean, factor).
// Limits: 2^32 partials.

alias M = f32;

// size: channels of a group; run: pixels of a run.
struct Params {
    count: u32,
    groups: u32,
    size: u32,
    pixels: u32,
    runs: u32,
    run: u32,
    eps: f32,
}

@group(0) @binding(0) var<storage, read> partials: array<vec2<f32>>;
@group(0) @binding(1) var<storage, read_write> statistics: array<vec2<f32>>;
@group(0) @binding(2) var<uniform> params: Params;

//% include "nn/group_norm/moments.wgsl"

// Where a group's partials begin.
fn origin(index: u32) -> u32 {
    let image = index / params.groups;
    return image * params.runs * params.groups * params.size + index % params.groups * params.size;
}

// Moments of a group's partials, measured from `shift`.
fn gathered(first: u32, shift: f32) -> Moments {
    var m = Moments(0.0, 0.0, 0.0);
    for (var run = 0u; run < params.runs; run++) {
        let row = first + run * params.groups * params.size;
        let pixels = f32(min(params.run, params.pixels - run * params.run));
        for (var c = 0u; c < params.size; c++) {
            let part = partials[row + c];
            m = merged(m, Moments(pixels, part.x - shift, part.y));
        }
    }
    return m;
}

@compute @workgroup_size(8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let index = id.x + id.y * (65535u * 8u);
    if (index >= params.count) { return; }
    let first = origin(index);
    let shift = partials[first].x;
    let m = gathered(first, shift);
    statistics[index] = vec2<f32>(shift + m.mean, 1.0 / sqrt(m.spread / m.count + params.eps));
}
