// Sum and maximum over the {{ lanes }} lane(s) of a row, which are neighbours in a workgroup of {{ threads }}: by a
// tree in workgroup memory (4 bytes an invocation), or by the subgroup that they are.
const LANES = {{ lanes }}u;
//% if lanes > 1 and not subgroups

var<workgroup> values: array<f32, {{ threads }}>;
//% endif
//% for name, combined in (("sum", "values[t] + values[t + step]"), ("max", "max(values[t], values[t + step])"))

// The {{ name }} over the lanes of a row.
fn row_{{ name }}(value: f32, t: u32, lane: u32) -> f32 {
//% if lanes == 1
    return value;
//% elif subgroups
//% if name == "sum"
    return subgroupAdd(value);
//% else
    return subgroupMax(value);
//% endif
//% else
    workgroupBarrier();
    values[t] = value;
    for (var step = LANES / 2u; step > 0u; step /= 2u) {
        workgroupBarrier();
        if (lane < step) { values[t] = {{ combined }}; }
    }
    workgroupBarrier();
    return values[t - lane];
//% endif
}
//% endfor
