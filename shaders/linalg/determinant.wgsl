// Determinants from LU: the product of U's diagonal and of the signs of the row exchanges, as a mantissa and
// a power of two, so that it overflows at the end at most.
//
// {{ threads }} invocations take a matrix; their products meet in a tree in workgroup memory.
// Memory: a view as in linalg/batch.wgsl; pivots (batch, n); `value` gets determinants, or (`logarithm`) signs,
// and `size` the logarithms of their sizes.
// Workgroup memory: 8 bytes an invocation. Limits: N below 2^24.
//% set views = ["a"]
//% from "linalg/batch.wgsl" import fields, starts with context

const THREADS = {{ threads }}u;

// infinity: its bits, since WGSL has no such constant.
struct Params {
    n: u32,
    infinity: u32,
{{ fields() }}}

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> pivots: array<i32>;
@group(0) @binding(2) var<storage, read_write> value: array<f32>;
//% if logarithm
@group(0) @binding(3) var<storage, read_write> size: array<f32>;
//% endif
@group(0) @binding(4) var<uniform> params: Params;
{{ starts() }}
struct Product {
    mantissa: f32,
    exponent: i32,
}

var<workgroup> products: array<Product, THREADS>;

// As a number from 1/2 to 1 and a power of two; zeros, infinities and NaN stay what they are.
fn scaled(v: f32, exponent: i32) -> Product {
    let bits = bitcast<u32>(v);
    let power = (bits >> 23u) & 255u;
    if (power == 0u || power == 255u) { return Product(v, exponent); }
    return Product(bitcast<f32>((bits & 0x807fffffu) | 0x3f000000u), exponent + i32(power) - 126);
}

fn times(p: Product, q: Product) -> Product {
    return scaled(p.mantissa * q.mantissa, p.exponent + q.exponent);
}

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let index = group.x + group.y * 65535u;
    if (index >= params.batch) { return; }
    let first = a_first(index);
    var product = Product(1.0, 0);
    for (var i = t; i < params.n; i += THREADS) {
        let exchanged = u32(pivots[index * params.n + i]) != i;
        let v = a[first + i * (params.a_row + params.a_column)];
        product = times(product, scaled(select(v, -v, exchanged), 0));
    }
    products[t] = product;
    for (var step = THREADS / 2u; step > 0u; step /= 2u) {
        workgroupBarrier();
        if (t < step) { products[t] = times(products[t], products[t + step]); }
    }
    if (t != 0u) { return; }
    product = products[0];
//% if logarithm
    if (product.mantissa == 0.0) {
        value[index] = 0.0;
        size[index] = -bitcast<f32>(params.infinity);
    } else {
        let finite = (bitcast<u32>(product.mantissa) & 0x7f800000u) != 0x7f800000u;
        let nothing = product.mantissa - product.mantissa;
        value[index] = select(nothing, select(1.0, -1.0, product.mantissa < 0.0), finite);
        size[index] = log(abs(product.mantissa)) + f32(product.exponent) * 0.6931471805599453;
    }
//% else
    // In two steps, since one alone may be out of range where the result is not.
    let half = clamp(product.exponent, -280, 280) / 2;
    let rest = clamp(product.exponent, -280, 280) - half;
    value[index] = product.mantissa * exp2_of(half) * exp2_of(rest);
//% endif
}
//% if not logarithm

// Powers of two, exactly; from -140 to 140, of which those out of range become 0 or infinity.
fn exp2_of(power: i32) -> f32 {
    if (power > 127) { return bitcast<f32>(params.infinity); }
    if (power < -126) { return 0.0; }
    return bitcast<f32>(u32(power + 127) << 23u);
}
//% endif
