// The {{ kind }} over windows that cover each axis evenly: window i of n from floor(i size / n) to
// ceil((i + 1) size / n). One result an invocation, in f32; a NaN in a window is its result.
//
// Memory: x is (N, height, width, units) words, y (N, out_height, out_width, units).
// Limits: those of arrays/combination/flat.wgsl and nn/share.wgsl.
//% include "arrays/combination/flat.wgsl"
//% include "nn/share.wgsl"

struct Params { count: u32, units: u32, height: u32, width: u32, out_height: u32, out_width: u32 }

@group(0) @binding(0) var<storage, read> x: array<W>;
@group(0) @binding(1) var<storage, read_write> y: array<W>;
@group(0) @binding(2) var<uniform> params: Params;

//% if width == 4
alias B = vec4<u32>;
//% else
alias B = u32;
//% endif

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let index = word_of(id);
    if (index >= params.count) { return; }
    let pixel = index / params.units;
    let c = index - pixel * params.units;
    let line = pixel / params.out_width;
    let column = pixel - line * params.out_width;
    let image = line / params.out_height;
    let row = line - image * params.out_height;
    let y0 = share_of(row, params.height, params.out_height, 0u);
    let y1 = share_of(row + 1u, params.height, params.out_height, params.out_height - 1u);
    let x0 = share_of(column, params.width, params.out_width, 0u);
    let x1 = share_of(column + 1u, params.width, params.out_width, params.out_width - 1u);
    let plane = image * params.height;
//% if kind == "max"
    var sum = F(x[((plane + y0) * params.width + x0) * params.units + c]);
//% else
    var sum = F();
//% endif
//% if kind == "max"
    var bits = B();
//% endif
    for (var i = y0; i < y1; i++) {
        for (var j = x0; j < x1; j++) {
            let v = F(x[((plane + i) * params.width + j) * params.units + c]);
//% if kind == "max"
            sum = max(sum, v);
            bits = max(bits, bitcast<B>(v) & B(0x7fffffffu));
//% else
            sum += v;
//% endif
        }
    }
//% if kind == "max"
    y[index] = W(select(sum, bitcast<F>(bits), bits > B(0x7f800000u)));
//% else
    y[index] = W(sum / f32((y1 - y0) * (x1 - x0)));
//% endif
}
