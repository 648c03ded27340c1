// What the kernels of group norm on GPUs share: a workgroup's {{ lanes }} lanes stand side by side on
// `across` words of a pixel, which hold whole groups, and below each other on pixels, so that a lane
// keeps its word of a pixel.
//
// Memory: x is (images, pixels, units1) of words W, x2 the second source, whose channels follow
// those of x; a word lies in one source. The workgroup's place (x, y, z) is its block of words, its
// run of pixels, its image.
// Workgroup memory: {{ 8 * slots * lanes }} bytes.
// Limits: 2^32 words; `across`, and the groups in it, no more than lanes.
//% include "arrays/combination/wide.wgsl"

alias M = f32;

const LANES = {{ lanes }}u;
const WIDTH = {{ width }}u;
const DEPTH = {{ depth }}u;

// units: words of a pixel of the result, units1 of them from x; run: pixels of a workgroup, of which
// an image has `runs`; size: channels of a group.
struct Params {
    pixels: u32,
    units: u32,
    units1: u32,
    across: u32,
    run: u32,
    runs: u32,
    size: u32,
    eps: f32,
}

@group(0) @binding(0) var<storage, read> x: array<W>;
//% if two
@group(0) @binding(1) var<storage, read> x2: array<W>;
//% endif
@group(0) @binding(6) var<uniform> params: Params;

//% include "nn/group_norm/moments.wgsl"

// Where a lane stands: every `rows`-th of `pixels` pixels from pixel `first` of all images on, and
// there at word `unit`, the workgroup's number `column`. Idle lanes have row = rows.
struct Place {
    first: u32,
    pixels: u32,
    rows: u32,
    row: u32,
    unit: u32,
    column: u32,
}

fn place_of(workgroup: vec3<u32>, lane: u32) -> Place {
    let rows = LANES / params.across;
    let column = lane % params.across;
    let begin = workgroup.y * params.run;
    return Place(
        workgroup.z * params.pixels + begin,
        min(params.run, params.pixels - begin),
        rows,
        min(lane / params.across, rows),
        workgroup.x * params.across + column,
        column,
    );
}

// Whether the lane has the pixel that is number p of the workgroup's, for a p in its row.
fn has(at: Place, p: u32) -> bool {
    return p < at.pixels && at.row < at.rows;
}

// Groups in the workgroup's words.
fn groups_here() -> u32 {
    return params.across * WIDTH / params.size;
}

// With `each` lanes a group, the lane is number j of the workgroup's group `own`. Lanes left over
// have j >= each.
struct Share {
    own: u32,
    j: u32,
}

fn share_of(lane: u32, each: u32) -> Share {
    let own = min(lane / each, groups_here() - 1u);
    return Share(own, lane - own * each);
}

var<workgroup> slots: array<vec2<f32>, {{ slots }}u * LANES>;

// Union of the moments of `n` lanes side by side, of which lane t is number j; lanes with j >= n
// only keep step.
fn gathered(own: Moments, t: u32, j: u32, n: u32) -> Moments {
    var m = own;
    workgroupBarrier();
    slots[t] = vec2<f32>(m.mean, m.spread);
    slots[LANES + t].x = m.count;
    var step = 1u;
    while (2u * step < n) { step *= 2u; }
    for (; step > 0u; step /= 2u) {
        workgroupBarrier();
        if (j < step && j + step < n) {
            let other = slots[t + step];
            m = merged(m, Moments(slots[LANES + t + step].x, other.x, other.y));
            slots[t] = vec2<f32>(m.mean, m.spread);
            slots[LANES + t].x = m.count;
        }
    }
    workgroupBarrier();
    let first = t - min(j, n);
    return Moments(slots[LANES + first].x, slots[first].x, slots[first].y);
}
