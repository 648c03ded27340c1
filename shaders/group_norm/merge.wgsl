// Second of two launches of group norm: every workgroup unites the moments of its groups over all
// runs (a few KiB, from cache), then normalises its run of pixels.
//
// Layout: partials is (images, groups, runs) of (mean, spread).
// Limits: lanes at least the groups of a workgroup.
//% from "group_norm/words.wgsl" import loaded, written with context
//% include "group_norm/lanes.wgsl"
//% include "group_norm/affine.wgsl"

@group(0) @binding(2) var<storage, read> partials: array<vec2<f32>>;

// Moments of the lane's group; each group has `each` lanes, which take every `each`-th run. They
// are measured from `near`, the mean of the group's first run.
struct United {
    moments: Moments,
    near: f32,
}

fn united(workgroup: vec3<u32>, lane: u32, at: Place) -> United {
    let groups = params.units / params.of_group;
    let here = params.across / params.of_group;
    let each = min(LANES / here, params.runs);
    // Lanes left over repeat the work of the last group.
    let own = min(lane / each, here - 1u);
    let j = lane - own * each;
    let from_image = workgroup.z * groups + workgroup.x * here;
    let first = (from_image + own) * params.runs;
    let size = f32(params.of_group) * WIDTH;
    let near = partials[first].x;
    var m = Moments(0.0, 0.0, 0.0);
    for (var run = j; run < select(0u, params.runs, j < each); run += each) {
        let part = partials[first + run];
        let count = f32(min(params.run, params.pixels - run * params.run)) * size;
        m = merged(m, Moments(count, part.x - near, part.y));
    }
    gathered(m, lane, min(j, each), each, 1u);
    let mine = (at.group / params.of_group) - workgroup.x * here;
    let o = mine * each;
    return United(
        Moments(counts[o], means[o], spreads[o]), partials[(from_image + mine) * params.runs].x,
    );
}

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = place_of(workgroup, lane);
    let own = united(workgroup, lane, at);
    let line = line_of(at.unit, own.moments, own.near);
    for (var p = at.begin; p < at.end; p += {{ depth }}u * at.rows) {
{{ loaded() }}
{{ written() }}
    }
}
