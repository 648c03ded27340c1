// Second of two launches of group norm: every workgroup unites the moments of its groups over all
// runs (a few KiB, from cache), then normalises its run of pixels. It goes up the run, whose end the
// first launch read last, and loads its first words before it waits for the moments.
//
// Layout: partials is (images, groups, runs) of (mean, spread).
//% from "nn/group_norm/words.wgsl" import declared, loaded, written with context
//% set slots = 2
//% set parts = 2 if width == 8 else 1
//% include "nn/group_norm/lanes.wgsl"
//% include "nn/group_norm/affine.wgsl"

@group(0) @binding(2) var<storage, read> partials: array<vec2<f32>>;

// One lane's part of the union of a group's runs, which begin at `first`, measured from `near`.
fn united(share: Share, each: u32, first: u32, near: f32) -> Moments {
    var m = Moments(0.0, 0.0, 0.0);
    let end = select(0u, params.runs, share.j < each);
    for (var run = share.j; run < end; run += each) {
        let part = partials[first + run];
        let pixels = min(params.run, params.pixels - run * params.run);
        m = merged(m, Moments(f32(pixels) * f32(params.size), part.x - near, part.y));
    }
    return m;
}

// Leaves (mean, factor) of each of the workgroup's groups in `slots`.
fn unite(workgroup: vec3<u32>, lane: u32) {
    let each = min(LANES / groups_here(), params.runs);
    let share = share_of(lane, each);
    let groups = params.units * WIDTH / params.size;
    let first = (workgroup.z * groups + workgroup.x * groups_here() + share.own) * params.runs;
    let near = partials[first].x;
    let m = gathered(united(share, each, first, near), lane, share.j, each);
    workgroupBarrier();
    if (share.j == 0u) { slots[share.own] = vec2<f32>(near + m.mean, factor_of(m)); }
    workgroupBarrier();
}

// Of a word, whose channels look up their groups one by one.
fn line_of(at: Place) -> Line {
    let u = {{ parts }}u * at.unit;
    let channel = at.column * WIDTH;
    let g0 = channel / params.size;
    let c0 = channel % params.size;
    let s0 = slots[g0];
//% for k in range(1, width)
    let c{{ k }} = select(c{{ k - 1 }} + 1u, 0u, c{{ k - 1 }} + 1u == params.size);
    let g{{ k }} = g{{ k - 1 }} + select(0u, 1u, c{{ k }} == 0u);
    let s{{ k }} = slots[g{{ k }}];
//% endfor
    return Line(
//% for h in range(parts)
//% set ks = range(4 * h, 4 * h + [width, 4] | min)
        F(s{{ ks | join(".x, s") }}.x),
        F(s{{ ks | join(".y, s") }}.y) * gamma[u + {{ h }}u],
        beta[u + {{ h }}u],
//% endfor
    );
}

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = place_of(workgroup, lane);
    let stride = DEPTH * at.rows;
    var step = (at.pixels - 1u) / stride;
    var p = at.row + step * stride;
{{ declared() }}
{{ loaded("p") }}
    unite(workgroup, lane);
    let line = line_of(at);
    loop {
{{ written("p") }}
        if (step == 0u) { break; }
        step -= 1u;
        p -= stride;
{{ loaded("p") }}
    }
}
