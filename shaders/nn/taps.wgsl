// Some taps of a kernel in reverse order: tap t along an axis is tap last - t step of the kernel.
//
// Memory: w is (taps_z, taps_y, taps_x, units) words, y (kernel_z, kernel_y, kernel_x, units).
// Limits: those of arrays/combination/flat.wgsl.
//% include "arrays/combination/flat.wgsl"

struct Params {
    count: u32, units: u32,
//% for a in "zyx"
    taps_{{ a }}: u32, kernel_{{ a }}: u32, last_{{ a }}: u32, step_{{ a }}: u32,
//% endfor
}

@group(0) @binding(0) var<storage, read> w: array<W>;
@group(0) @binding(1) var<storage, read_write> y: array<W>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let index = word_of(id);
    if (index >= params.count) { return; }
    var rest = index / params.units;
    let c = index - rest * params.units;
    let kx = params.last_x - rest % params.kernel_x * params.step_x;
    rest /= params.kernel_x;
    let ky = params.last_y - rest % params.kernel_y * params.step_y;
    rest /= params.kernel_y;
    let kz = params.last_z - rest * params.step_z;
    y[index] = w[((kz * params.taps_y + ky) * params.taps_x + kx) * params.units + c];
}
