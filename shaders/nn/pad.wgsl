// Padding of three axes in mode {{ mode }}.
//
// Memory: x is (N, size_z, size_y, size_x, units) words, y (N, result_z, result_y, result_x, units).
// Limits: those of arrays/combination/flat.wgsl; a number that is added is f32.
//% include "arrays/combination/flat.wgsl"
//% include "arrays/combination/each.wgsl"

struct Params {
    count: u32, units: u32,
//% for a in "zyx"
    size_{{ a }}: u32, result_{{ a }}: u32, before_{{ a }}: u32,
//% endfor
    value: f32,
}

@group(0) @binding(0) var<storage, read> x: array<W>;
@group(0) @binding(1) var<storage, read_write> y: array<W>;
@group(0) @binding(2) var<uniform> params: Params;

// The element of an axis that stands at a place of the result; in mode constant maybe outside.
fn source(place: u32, size: u32, before: u32) -> u32 {
    let i = i32(place) - i32(before);
    let n = i32(size);
//% if mode == "reflect"
    return u32(select(abs(i), 2 * (n - 1) - i, i >= n));
//% elif mode == "replicate"
    return u32(clamp(i, 0, n - 1));
//% elif mode == "circular"
    return u32(select(select(i, i + n, i < 0), i - n, i >= n));
//% else
    return u32(i);
//% endif
}

fn result(index: u32) -> W {
    var rest = index / params.units;
    let c = index - rest * params.units;
    let ix = source(rest % params.result_x, params.size_x, params.before_x);
    rest /= params.result_x;
    let iy = source(rest % params.result_y, params.size_y, params.before_y);
    rest /= params.result_y;
    let iz = source(rest % params.result_z, params.size_z, params.before_z);
    let plane = rest / params.result_z * params.size_z + iz;
//% if mode == "constant"
    var v = W(S(params.value));
    if (ix < params.size_x && iy < params.size_y && iz < params.size_z) {
        v = x[((plane * params.size_y + iy) * params.size_x + ix) * params.units + c];
    }
    return v;
//% else
    return x[((plane * params.size_y + iy) * params.size_x + ix) * params.units + c];
//% endif
}
