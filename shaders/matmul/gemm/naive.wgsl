// One result element an invocation: the readable truth, and the fallback for odd widths.
//
// Memory: as in matmul/gemm/operands.wgsl. Limits: none but the device's; each operand element is read again
// for every result that needs it.
//% from "matmul/quantized/reading.wgsl" import weight with context
//% include "matmul/gemm/operands.wgsl"

fn dot(row: Row, column: u32, columns: u32) -> f32 {
    var sum = 0.0;
//% if batched
    var k = batch * depth();
//% else
    var k = 0u;
//% endif
    for (var s = 0u; s < segments(); s++) {
        let length = segment_length(s);
        let start = segment_offset(s, row);
        if (start != NONE) {
            for (var c = 0u; c < length; c++) {
//% if two
                var a = 0.0;
                if (segment_source(s) == 0u) { a = f32(x[start + c]); } else { a = f32(x2[start + c]); }
//% else
                let a = f32(x[start + c]);
//% endif
                sum = fma(a, f32({{ weight("(k + c) * columns + column") | trim }}), sum);
            }
        }
        k += length;
    }
    return sum;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
//% if batched
    batch = id.z;
//% endif
    let index = id.x + id.y * (65535u * 64u);
    let m = index / params.n;
    let n = index % params.n;
    if (m >= params.m) { return; }
    let row = row_of(m);
//% if activation == "geglu"
    let columns = 2u * params.n;
    let value = biased(dot(row, n, columns), m, n, columns);
    let gate = biased(dot(row, n + params.n, columns), m, n + params.n, columns);
    store(value * activate(gate), m, n, params.n);
//% else
    store(activate(biased(dot(row, n, params.n), m, n, params.n)), m, n, params.n);
//% endif
}
