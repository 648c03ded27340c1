// For software renderers: one channel word and one run of pixels an invocation, no barrier.
//% include "group_norm/source.wgsl"

@compute @workgroup_size(16)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let index = id.x + id.y * (65535u * 16u);
    let unit = index % params.units;
    let run = index / params.units % params.runs;
    let image = index / params.units / params.runs;
    if (image >= params.images) { return; }
    let begin = run * params.run;
    let length = min(params.run, params.pixels - begin);
    var at = (image * params.pixels + begin) * params.units + unit;
    let shift = F(x[at]);
    var m = Moments(0.0, F(), F());
    for (var p = 1u; p <= length; p++) {
        m = with_value(m, f32(p), F(x[at]) - shift);
        at += params.units;
    }
    store(image, run, unit, shift, m);
}
