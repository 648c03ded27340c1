// Second step of group norm: merges the moments of a group's channels over all runs, 64 lanes a
// group, one invocation a group on software renderers, and gives mean and 1 / sqrt(variance + eps).
//
// Memory: partials is (images, runs, channels) of (mean, spread); statistics is (images, groups) of
// (mean, factor).
// Workgroup memory: 768 bytes.
// Limits: 2^32 partials.

alias F = f32;

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

//% include "group_norm/moments.wgsl"

// Where a group's partials begin.
fn origin(index: u32) -> u32 {
    let image = index / params.groups;
    return image * params.runs * params.groups * params.size + index % params.groups * params.size;
}

//% if cpu
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
//% else
const LANES = 64u;

var<workgroup> counts: array<f32, LANES>;
var<workgroup> means: array<f32, LANES>;
var<workgroup> spreads: array<f32, LANES>;

// Moments of every LANES-th partial of a group, from the lane's own on, measured from `shift`.
fn gathered(first: u32, lane: u32, shift: f32) -> Moments {
    var m = Moments(0.0, 0.0, 0.0);
    for (var e = lane; e < params.runs * params.size; e += LANES) {
        let run = e / params.size;
        let part = partials[first + run * params.groups * params.size + e % params.size];
        let pixels = f32(min(params.run, params.pixels - run * params.run));
        m = merged(m, Moments(pixels, part.x - shift, part.y));
    }
    return m;
}

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = group.x + group.y * 65535u;
    // Groups past the end take part in the barriers.
    let first = origin(min(index, params.count - 1u));
    let shift = partials[first].x;
    var m = gathered(first, lane, shift);
    counts[lane] = m.count;
    means[lane] = m.mean;
    spreads[lane] = m.spread;
    for (var step = LANES / 2u; step > 0u; step /= 2u) {
        workgroupBarrier();
        if (lane < step) {
            let o = lane + step;
            m = merged(m, Moments(counts[o], means[o], spreads[o]));
            counts[lane] = m.count;
            means[lane] = m.mean;
            spreads[lane] = m.spread;
        }
    }
    if (lane == 0u && index < params.count) {
        statistics[index] = vec2<f32>(shift + m.mean, 1.0 / sqrt(m.spread / m.count + params.eps));
    }
}
//% endif
