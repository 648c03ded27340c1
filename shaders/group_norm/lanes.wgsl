// Operands of group norm on GPUs: a workgroup's {{ lanes }} lanes stand side by side on the words of one or
// more whole groups, and below each other on pixels, so that a lane keeps its word of a pixel.
//
// Memory: x is (images, pixels, units1) of words W, x2 the second source, whose channels follow
// those of x; a word lies in one source and one group. The workgroup's place (x, y, z) is its groups
// among the image's, its run of pixels, its image.
// Workgroup memory: {{ 12 * lanes }} bytes.
// Limits: 2^32 words; a group's words in a pixel no more than lanes.
//% include "elementwise/wide.wgsl"

alias M = f32;

const LANES = {{ lanes }}u;
const WIDTH = {{ width }}.0;

// units: words of a pixel of the result, units1 of them from x; of_group: words of a group, across:
// of the workgroup's groups; part: pixels of a workgroup; run: pixels of one of the `runs` whose
// moments are merged.
struct Params {
    pixels: u32,
    units: u32,
    units1: u32,
    of_group: u32,
    across: u32,
    part: u32,
    run: u32,
    runs: u32,
    eps: f32,
}

@group(0) @binding(0) var<storage, read> x: array<W>;
//% if two
@group(0) @binding(1) var<storage, read> x2: array<W>;
//% endif
@group(0) @binding(6) var<uniform> params: Params;

//% include "group_norm/moments.wgsl"

// Where a lane stands: every `rows`-th pixel from `begin` to `end` of an image that starts at pixel
// `image`, and there at word `unit` (its group's are from `group` on). Idle lanes have no pixels.
struct Place {
    image: u32,
    begin: u32,
    end: u32,
    rows: u32,
    row: u32,
    unit: u32,
    group: u32,
}

fn place_of(workgroup: vec3<u32>, lane: u32) -> Place {
    let rows = LANES / params.across;
    let row = lane / params.across;
    let unit = workgroup.x * params.across + lane % params.across;
    let begin = workgroup.y * params.part;
    let end = select(0u, min(begin + params.part, params.pixels), row < rows);
    let group = unit - unit % params.of_group;
    return Place(workgroup.z * params.pixels, begin + row, end, rows, row, unit, group);
}

// The first value of the lane's group in the image: near the others, so that nothing is lost when
// it is taken from them.
fn shift_of(at: Place) -> f32 {
//% if two
    if (at.group >= params.units1) {
        let units2 = params.units - params.units1;
        return first_of(part0(x2[at.image * units2 + at.group - params.units1]));
    }
//% endif
    return first_of(part0(x[at.image * params.units1 + at.group]));
}

// Moments with one more word, measured from `shift`; `share` is 1 over the words that are then in.
fn with_word(m: Moments, share: f32, w: W, shift: f32) -> Moments {
//% if width == 8
    let a = part0(w) - shift;
    let b = part1(w) - shift;
    let mean = total(a + b) / WIDTH;
    let spread = square(a - mean) + square(b - mean);
//% else
    let a = part0(w) - shift;
    let mean = total(a) / WIDTH;
    let spread = square(a - mean);
//% endif
    let d = mean - m.mean;
    let more = d * d * (m.count * share);
    return Moments(m.count + WIDTH, m.mean + d * share, m.spread + spread + more);
}

var<workgroup> counts: array<f32, LANES>;
var<workgroup> means: array<f32, LANES>;
var<workgroup> spreads: array<f32, LANES>;

// Union of the moments of `n` lanes, `pitch` lanes apart, of which lane t is number j; lanes with
// j >= n only keep step.
fn gathered(own: Moments, t: u32, j: u32, n: u32, pitch: u32) -> Moments {
    var m = own;
    workgroupBarrier();
    counts[t] = m.count;
    means[t] = m.mean;
    spreads[t] = m.spread;
    var step = 1u;
    while (2u * step < n) { step *= 2u; }
    for (; step > 0u; step /= 2u) {
        workgroupBarrier();
        if (j < step && j + step < n) {
            let o = t + step * pitch;
            m = merged(m, Moments(counts[o], means[o], spreads[o]));
            counts[t] = m.count;
            means[t] = m.mean;
            spreads[t] = m.spread;
        }
    }
    workgroupBarrier();
    let first = t - min(j, n) * pitch;
    return Moments(counts[first], means[first], spreads[first]);
}
