// First of two launches of group norm, for large groups: moments of some groups over a run of pixels
// a workgroup. The lanes on one word are united first, then the words of a group.
//
// Layout: partials is (images, groups, runs) of (mean, spread).
//% from "group_norm/words.wgsl" import loaded, measured with context
//% include "group_norm/lanes.wgsl"

@group(0) @binding(2) var<storage, read_write> partials: array<vec2<f32>>;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = place_of(workgroup, lane);
    let shift = shift_of(at);
    var m = Moments(0.0, 0.0, 0.0);
    var words = 0.0;
    for (var p = at.begin; p < at.end; p += {{ depth }}u * at.rows) {
{{ loaded() }}
{{ measured("words") }}
        words += {{ depth }}.0;
    }
    m = gathered(m, lane, at.row, LANES / params.across, params.across);
    let j = select(params.of_group, at.unit - at.group, at.row < at.rows);
    m = gathered(m, lane, j, params.of_group, 1u);
    if (at.row == 0u && j == 0u) {
        let groups = params.units / params.of_group;
        let group = workgroup.z * groups + at.group / params.of_group;
        partials[group * params.runs + workgroup.y] = vec2<f32>(shift + m.mean, m.spread);
    }
}
