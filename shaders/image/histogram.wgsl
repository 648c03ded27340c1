// Counts of values by image, channel and bin. A workgroup counts a part of an image in workgroup
//% if local
// memory, then adds its counts to the result's.
//% else
// memory (here there are too many bins: in memory), then adds its counts to the result's.
//% endif
//% if source == "u8"
// The bin of u8 is level times bins / 256.
//% else
// A value of f32 is in bin b where edges[b] <= value < edges[b + 1], compared by keys; the last edge counts as inside.
//% endif
//% if copies > 1
// There are {{ copies }} copies of the counts, by lane, so that lanes with one value seldom wait.
//% else
//
//% endif
//
// Memory: x in words of four bytes; y is (images, channels, bins), zero before.
//% if local
// Workgroup memory: {{ 4 * channels * bins * copies }} bytes.
//% else
//
//% endif
// Limits: 2^32 elements.
//% set target = "f32"
//% include "image/words.wgsl"

const CHANNELS = {{ channels }}u;
const BINS = {{ bins }}u;
//% if source == "u8"
const LANES = 4u;
//% else
const LANES = 1u;
//% endif
const WORKGROUP = 256u;

// size: elements of an image.
//% if source == "u8"
struct Params { size: u32, groups: u32, images: u32 }
//% else
struct Params { size: u32, groups: u32, images: u32, least: i32, most: i32, first: f32, scale: f32 }
//% endif

//% if source == "f32"
alias f32x1 = u32;
//% endif
//% if source == "u8"
alias Word = X;
//% else
alias Word = f32x1;
//% endif

@group(0) @binding(0) var<storage, read> x: array<Word>;
//% if source == "f32"
@group(0) @binding(1) var<storage, read> edges: array<i32>;
//% endif
@group(0) @binding(2) var<storage, read_write> y: array<atomic<u32>>;
@group(0) @binding(3) var<uniform> params: Params;
//% if local

var<workgroup> counts: array<atomic<u32>, {{ channels * bins * copies }}>;
//% endif

//% if source == "f32"
// An integer in the order of the value: a GPU may take subnormal floats for 0 where it compares them.
fn key_of(word: u32) -> i32 {
    let size = i32(word & 0x7fffffffu);
    return select(size, -size, word > 0x7fffffffu);
}

fn bin_of(key: i32, v: f32) -> u32 {
    var b = min(u32(max((v - params.first) * params.scale, 0.0)), BINS - 1u);
    // The quotient was rounded: the edges decide.
    while (b > 0u && key < edges[b]) { b -= 1u; }
    while (b + 1u < BINS && key >= edges[b + 1u]) { b += 1u; }
    return b;
}
//% endif

fn count(image: u32, e: u32, word: Word, lane: u32) {
//% if source == "u8"
    let b = (((word >> (8u * (e & 3u))) & 255u) * BINS) >> 8u;
//% else
    // A NaN is in no bin.
    if ((word & 0x7fffffffu) > 0x7f800000u) { return; }
    let key = key_of(word);
    if (key < params.least || key > params.most) { return; }
    let b = bin_of(key, bitcast<f32>(word));
//% endif
    let slot = (e - image * params.size) % CHANNELS * BINS + b;
//% if local
    atomicAdd(&counts[slot * {{ copies }}u + lane % {{ copies }}u], 1u);
//% else
    atomicAdd(&y[image * CHANNELS * BINS + slot], 1u);
//% endif
}

// The elements of a word that belong to the image.
fn count_word(image: u32, w: u32, word: Word, lane: u32) {
    let start = image * params.size;
    let end = start + params.size;
//% if source == "u8"
    for (var e = max(4u * w, start); e < min(4u * w + 4u, end); e++) { count(image, e, word, lane); }
//% else
    if (w < end) { count(image, w, word, lane); }
//% endif
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let image = group.y + group.z * 65535u;
    if (image >= params.images) { return; }
//% if local
    for (var k = lane; k < {{ channels * bins * copies }}u; k += WORKGROUP) { atomicStore(&counts[k], 0u); }
    workgroupBarrier();
//% endif
    let start = image * params.size;
    let end = start + params.size;
    let run = {{ loads }}u * WORKGROUP;
    for (var w = start / LANES + group.x * run + lane; w * LANES < end; w += params.groups * run) {
//% for k in range(loads)
        let word{{ k }} = x[min(w + {{ k }}u * WORKGROUP, (end - 1u) / LANES)];
//% endfor
//% for k in range(loads)
        count_word(image, w + {{ k }}u * WORKGROUP, word{{ k }}, lane);
//% endfor
    }
//% if local
    workgroupBarrier();
    for (var k = lane; k < {{ channels * bins }}u; k += WORKGROUP) {
        var n = 0u;
        for (var c = 0u; c < {{ copies }}u; c++) { n += atomicLoad(&counts[k * {{ copies }}u + c]); }
        if (n > 0u) { atomicAdd(&y[image * {{ channels * bins }}u + k], n); }
    }
//% endif
}
