// Weights of the four convolutions that a transposed one of stride 2 comes to: the results of each
// parity of y and x see every second tap, the last ones first.
//
// Memory: w is (kernel_y, kernel_x, units) words, y (2, 2, kernel_y / 2, kernel_x / 2, units), the
// parities before the taps. Limits: those of arrays/combination/flat.wgsl; kernels of even extents.
//% include "arrays/combination/flat.wgsl"

struct Params { count: u32, units: u32, kernel_y: u32, kernel_x: u32 }

@group(0) @binding(0) var<storage, read> w: array<W>;
@group(0) @binding(1) var<storage, read_write> y: array<W>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let index = word_of(id);
    if (index >= params.count) { return; }
    let half_y = params.kernel_y / 2u;
    let half_x = params.kernel_x / 2u;
    var rest = index / params.units;
    let c = index - rest * params.units;
    let tap_x = rest % half_x;
    rest /= half_x;
    let tap_y = rest % half_y;
    let parity = rest / half_y;
    let ky = params.kernel_y - 1u - parity / 2u - 2u * tap_y;
    let kx = params.kernel_x - 1u - parity % 2u - 2u * tap_x;
    y[index] = w[(ky * params.kernel_x + kx) * params.units + c];
}
