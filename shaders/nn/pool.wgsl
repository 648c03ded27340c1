// The {{ kind }} of each window of a feature map, in f32; a NaN in a window is its result.
//% include "elementwise/flat.wgsl"
//% set more = "strip: u32, end_z: i32, end_y: i32, end_x: i32, lowest: f32,"
//% include "nn/window_params.wgsl"

@group(0) @binding(0) var<storage, read> x: array<W>;
@group(0) @binding(1) var<storage, read_write> y: array<W>;
@group(0) @binding(2) var<uniform> params: Params;
//% if kind == "max"

alias B = {{ "vec4<u32>" if width == 4 else "u32" }};

// The largest element, and the greatest of all magnitudes as bits: above those of infinity for NaN.
struct Sum { high: F, bits: B }

fn start() -> Sum { return Sum(F(params.lowest), B()); }

fn outside() -> F { return F(params.lowest); }

fn taken(sum: Sum, v: F) -> Sum {
    return Sum(max(sum.high, v), max(sum.bits, bitcast<B>(v) & B(0x7fffffffu)));
}

fn joined(a: Sum, b: Sum) -> Sum { return Sum(max(a.high, b.high), max(a.bits, b.bits)); }

fn store(sum: Sum, at: u32, c: u32, oz: u32, oy: u32, ox: u32) {
    y[at * params.units + c] = W(select(sum.high, bitcast<F>(sum.bits), sum.bits > B(0x7f800000u)));
}
//% else

fn start() -> F { return F(); }

fn outside() -> F { return F(); }

fn taken(sum: F, v: F) -> F { return sum + v; }

// Elements of a window along an axis: of the image{{ " and its padding" if counted }}.
fn counted(result: u32, kernel: u32, stride: u32, before: i32, size: u32, end: i32) -> f32 {
    let first = i32(result * stride) - before;
//% if counted
    return f32(min(first + i32(kernel), end) - first);
//% else
    return f32(min(first + i32(kernel), i32(size)) - max(first, 0));
//% endif
}

fn store(sum: F, at: u32, c: u32, oz: u32, oy: u32, ox: u32) {
//% for a in "zyx"
    let n_{{ a }} = counted(
        o{{ a }}, params.kernel_{{ a }}, params.stride_{{ a }}, params.before_{{ a }}, params.size_{{ a }}, params.end_{{ a }},
    );
//% endfor
    y[at * params.units + c] = W(sum / (n_z * n_y * n_x));
}
//% endif

//% set weighted = false
//% set joins = kind == "max"
//% include "nn/window.wgsl"
