// Convolution in groups of channels, {{ width }} of their outputs and {{ pixels }} pixels of a line an invocation: its
// words of x serve all its outputs, its words of the weights all its pixels. Sums are in f32.
//
// Memory: x is (N, D, H, W, C), y (N, result_z, result_y, result_x, Cout), the weights are
// (kernel_z, kernel_y, kernel_x, C / groups, Cout). Limits: those of arrays/combination/flat.wgsl.
//% include "arrays/combination/flat.wgsl"
//% set more = "inputs: u32, outputs: u32, channels: u32,"
//% include "nn/window_params.wgsl"

// inputs and channels count words of {{ deep }} of x: of a group, of a pixel; outputs words of a group in y.
//% if deep == 4
alias X = vec4<S>;
alias G = vec4<f32>;
//% else
alias X = S;
alias G = f32;
//% endif

@group(0) @binding(0) var<storage, read> x: array<X>;
@group(0) @binding(1) var<storage, read> weight: array<W>;
//% if bias
@group(0) @binding(2) var<storage, read> bias: array<F>;
//% endif
@group(0) @binding(3) var<storage, read_write> y: array<W>;
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let index = word_of(id);
    if (index >= params.count) { return; }
    let across = (params.result_x + {{ pixels - 1 }}u) / {{ pixels }}u;
    var rest = index / params.units;
    let c = index - rest * params.units;
    let first_channel = c / params.outputs * params.inputs;
    let x0 = rest % across * {{ pixels }}u;
    let result_line = rest / across;
    let y0 = result_line % params.result_y;
    rest = result_line / params.result_y;
    let z0 = rest % params.result_z;
    let image = rest / params.result_z;
    let first_z = i32(z0 * params.stride_z) - params.before_z;
    let first_y = i32(y0 * params.stride_y) - params.before_y;
//% for p in range(pixels)
    let first_x{{ p }} = i32((x0 + {{ p }}u) * params.stride_x) - params.before_x;
    var sum{{ p }} = F();
//% endfor
    var w = c;
    for (var kz = 0u; kz < params.kernel_z; kz++) {
        let z = u32(first_z + i32(kz * params.dilation_z));
        for (var ky = 0u; ky < params.kernel_y; ky++) {
            let y = u32(first_y + i32(ky * params.dilation_y));
            let inside = z < params.size_z && y < params.size_y;
            let line = select(0u, (image * params.size_z + z) * params.size_y + y, inside) * params.size_x;
            for (var kx = 0u; kx < params.kernel_x; kx++) {
//% for p in range(pixels)
                let column{{ p }} = u32(first_x{{ p }} + i32(kx * params.dilation_x));
                let in{{ p }} = inside && column{{ p }} < params.size_x;
                let at{{ p }} = select(0u, line + column{{ p }}, in{{ p }}) * params.channels + first_channel;
//% endfor
                for (var i = 0u; i < params.inputs; i++) {
//% for e in range(deep)
                    let w{{ e }} = F(weight[w]);
                    w += params.units;
//% endfor
//% for p in range(pixels)
                    let v{{ p }} = select(G(), G(x[at{{ p }} + i]), in{{ p }});
//% for e in range(deep)
//% if deep == 4
                    sum{{ p }} = fma(F(v{{ p }}{{ "." ~ "xyzw"[e] }}), w{{ e }}, sum{{ p }});
//% else
                    sum{{ p }} = fma(F(v{{ p }}), w{{ e }}, sum{{ p }});
//% endif
//% endfor
//% endfor
                }
            }
        }
    }
//% for p in range(pixels)
    if (x0 + {{ p }}u < params.result_x) {
//% if bias
        y[(result_line * params.result_x + x0 + {{ p }}u) * params.units + c] = W(sum{{ p }} + bias[c]);
//% else
        y[(result_line * params.result_x + x0 + {{ p }}u) * params.units + c] = W(sum{{ p }});
//% endif
    }
//% endfor
}
