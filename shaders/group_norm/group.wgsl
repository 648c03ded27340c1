// Group norm in one launch: a workgroup takes one group of one image, every lane up to {{ depth }} words at once.
// {{ "It keeps them until the statistics are known." if held else "It reads them again, from cache, when the statistics are known." }}
//% from "group_norm/words.wgsl" import loaded, measured, written with context
//% include "group_norm/lanes.wgsl"
//% include "group_norm/affine.wgsl"

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = place_of(workgroup, lane);
    let shift = shift_of(at);
    var m = Moments(0.0, 0.0, 0.0);
//% if held
    let p = at.begin;
{{ loaded() }}
{{ measured("0.0") }}
//% else
    var words = 0.0;
    for (var p = at.begin; p < at.end; p += {{ depth }}u * at.rows) {
{{ loaded() }}
{{ measured("words") }}
        words += {{ depth }}.0;
    }
//% endif
    m = gathered(m, lane, lane, LANES, 1u);
    let line = line_of(at.unit, m, shift);
//% if held
{{ written() }}
//% else
    for (var p = at.begin; p < at.end; p += {{ depth }}u * at.rows) {
{{ loaded() }}
{{ written() }}
    }
//% endif
}
