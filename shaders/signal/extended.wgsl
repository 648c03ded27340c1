// A signal extended at its ends: `reach` samples by its boundary ({{ boundary }}), then zeros.
// Memory: `sample` and the type W are the includer's. Limits: 2^31 samples; `reach` is less than
// their number where they are mirrored.

fn extended(outer: u32, p: i32, inner: u32) -> W {
    if (p >= 0 && p < params.length) { return sample(outer, p, inner); }
    if (p < -params.reach || p >= params.length + params.reach) { return W(); }
//% if boundary == "zeros"
    return W();
//% else
    let end = select(0, params.length - 1, p > 0);
//% if boundary == "constant"
    return sample(outer, end, inner);
//% else
    let mirrored = sample(outer, 2 * end - p, inner);
//% if boundary == "even"
    return mirrored;
//% else
    return 2.0 * sample(outer, end, inner) - mirrored;
//% endif
//% endif
//% endif
}
