// First of two launches of group norm, for large images: moments of whole groups over a run of
// pixels a workgroup. Words are as wide as the sources allow, wherever groups begin: a lane has
// moments of each channel of its word, and the channels of all lanes are united into groups through
// workgroup memory.
//
// Layout: partials is (images, groups, runs) of (mean, spread).
//% from "nn/group_norm/words.wgsl" import declared, loaded, measured with context
//% set slots = [width, 2] | max
//% set parts = 2 if width == 8 else 1
//% include "nn/group_norm/lanes.wgsl"

@group(0) @binding(2) var<storage, read_write> partials: array<vec2<f32>>;

// Moments of each channel of a word, measured from the lane's first word: near the others, so that
// nothing is lost when it is taken from them.
struct Column {
//% for h in range(parts)
    mean{{ h }}: F,
    spread{{ h }}: F,
//% endfor
}

// With one more word (Welford 1962); `share` is 1 over the words that are then in.
fn with_word(m: Column, w: W, shift: W, share: f32) -> Column {
//% for h in range(parts)
    let d{{ h }} = part{{ h }}(w) - part{{ h }}(shift) - m.mean{{ h }};
    let mean{{ h }} = m.mean{{ h }} + d{{ h }} * share;
    let spread{{ h }} = m.spread{{ h }} + d{{ h }} * d{{ h }} * (1.0 - share);
//% endfor
//% if parts == 2
    return Column(mean0, spread0, mean1, spread1);
//% else
    return Column(mean0, spread0);
//% endif
}

// Where channel k of a lane's word is kept: turned by the lane's number, so that neither the lanes
// that store nor those that read meet in one bank.
fn slot_of(lane: u32, k: u32) -> u32 {
    return lane * WIDTH + (lane + k) % WIDTH;
}

fn store(lane: u32, shift: W, m: Column) {
//% for k in range(width)
//% set h = k // 4
//% set c = "." + "xyzw"[k % 4] if width > 1 else ""
    slots[slot_of(lane, {{ k }}u)] =
        vec2<f32>(part{{ h }}(shift){{ c }} + m.mean{{ h }}{{ c }}, m.spread{{ h }}{{ c }});
//% endfor
}

fn kept(row: u32, channel: u32) -> vec2<f32> {
    return slots[slot_of(row * params.across + channel / WIDTH, channel % WIDTH)];
}

// One lane's part of the union of a group's channels over all rows, measured from `near`.
fn united(at: Place, share: Share, each: u32, near: f32) -> Moments {
    let whole = at.pixels / at.rows;
    let rest = at.pixels % at.rows;
    let down = each / params.size;
    let aside = each % params.size;
    var row = select(at.rows, share.j / params.size, share.j < each);
    var c = share.j % params.size;
    var m = Moments(0.0, 0.0, 0.0);
    while (row < at.rows) {
        let part = kept(row, share.own * params.size + c);
        let count = f32(whole + select(0u, 1u, row < rest));
        m = merged(m, Moments(count, part.x - near, part.y));
        row += down;
        c += aside;
        if (c >= params.size) {
            c -= params.size;
            row += 1u;
        }
    }
    return m;
}

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = place_of(workgroup, lane);
    var m = Column();
    var shift = W();
    var words = 0.0;
{{ declared() }}
    for (var p = at.row; p < at.pixels; p += DEPTH * at.rows) {
{{ loaded("p") }}
        if (p == at.row) { shift = w0; }
{{ measured("p", "words") }}
        words += {{ depth }}.0;
    }
    store(lane, shift, m);
    workgroupBarrier();
    let each = min(LANES / groups_here(), LANES / params.across * params.size);
    let share = share_of(lane, each);
    let near = kept(0u, share.own * params.size).x;
    let all = gathered(united(at, share, each, near), lane, share.j, each);
    if (share.j == 0u) {
        let groups = params.units * WIDTH / params.size;
        let group = workgroup.z * groups + workgroup.x * groups_here() + share.own;
        partials[group * params.runs + workgroup.y] = vec2<f32>(near + all.mean, all.spread);
    }
}
