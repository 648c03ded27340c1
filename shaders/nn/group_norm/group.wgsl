// Group norm in one launch, for small images: a workgroup takes one group of one image, every lane up to {{ depth }} words at once.
//% if held
// It keeps them until the statistics are known.
//% else
// It reads them again, from cache, when the statistics are known.
//% endif
// A word lies in one group.
//% from "nn/group_norm/words.wgsl" import declared, loaded, measured, written with context
//% set slots = 2
//% set parts = 2 if width == 8 else 1
//% include "nn/group_norm/lanes.wgsl"
//% include "nn/group_norm/affine.wgsl"

// The first value of the group in the image: near the others, so that nothing is lost when it is
// taken from them.
fn shift_of(at: Place) -> f32 {
    let unit = at.unit - at.column;
//% if two
    if (unit >= params.units1) {
        let units2 = params.units - params.units1;
        return first_of(part0(x2[at.first * units2 + unit - params.units1]));
    }
//% endif
    return first_of(part0(x[at.first * params.units1 + unit]));
}

// Moments with one more word, measured from `shift`; `share` is 1 over the words that are then in.
fn with_word(m: Moments, w: W, shift: f32, share: f32) -> Moments {
    let a = part0(w) - shift;
//% if parts == 2
    let b = part1(w) - shift;
    let mean = total(a + b) / {{ width }}.0;
    let spread = square(a - mean) + square(b - mean);
//% else
    let mean = total(a) / {{ width }}.0;
    let spread = square(a - mean);
//% endif
    let d = mean - m.mean;
    let more = d * d * (m.count * share);
    return Moments(m.count + {{ width }}.0, m.mean + d * share, m.spread + spread + more);
}

fn line_of(unit: u32, mean: f32, factor: f32) -> Line {
    let u = {{ parts }}u * unit;
    return Line(
//% for h in range(parts)
        F(mean), gamma[u + {{ h }}u] * factor, beta[u + {{ h }}u],
//% endfor
    );
}

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = place_of(workgroup, lane);
    let shift = shift_of(at);
    var m = Moments(0.0, 0.0, 0.0);
{{ declared() }}
//% if held
{{ loaded("at.row") }}
{{ measured("at.row", "0.0") }}
//% else
    var words = 0.0;
    for (var p = at.row; p < at.pixels; p += DEPTH * at.rows) {
{{ loaded("p") }}
{{ measured("p", "words") }}
        words += {{ depth }}.0;
    }
//% endif
    m = gathered(m, lane, lane, LANES);
    let line = line_of(at.unit, shift + m.mean, factor_of(m));
//% if held
{{ written("at.row") }}
//% else
    for (var p = at.row; p < at.pixels; p += DEPTH * at.rows) {
{{ loaded("p") }}
{{ written("p") }}
    }
//% endif
}
