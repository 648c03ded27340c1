// Writes every stride-th element of a larger array along three axes: element i of the part goes to
// i stride + first.
// Memory: x is (N, part_z, part_y, part_x, units) words, y (N, result_z, result_y, result_x, units).
// Limits: those of arrays/combination/flat.wgsl.
//% include "arrays/combination/flat.wgsl"
//% set scattered = true
//% include "arrays/combination/each.wgsl"

struct Params {
    count: u32, units: u32,
//% for a in "zyx"
    part_{{ a }}: u32, result_{{ a }}: u32, stride_{{ a }}: u32, first_{{ a }}: u32,
//% endfor
}

@group(0) @binding(0) var<storage, read> x: array<W>;
@group(0) @binding(1) var<storage, read_write> y: array<W>;
@group(0) @binding(2) var<uniform> params: Params;

fn result(index: u32) -> W { return x[index]; }

fn goal(index: u32) -> u32 {
    var rest = index / params.units;
    let c = index - rest * params.units;
    let ox = rest % params.part_x * params.stride_x + params.first_x;
    rest /= params.part_x;
    let oy = rest % params.part_y * params.stride_y + params.first_y;
    rest /= params.part_y;
    let oz = rest % params.part_z * params.stride_z + params.first_z;
    let plane = rest / params.part_z * params.result_z + oz;
    return ((plane * params.result_y + oy) * params.result_x + ox) * params.units + c;
}
