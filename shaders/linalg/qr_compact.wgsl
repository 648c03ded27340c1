// The text that kernels of panels share: the reflector of a column, and T.
//
// Columns lie in v as they are; 32 lanes are a row's columns. Each column is scaled by a power of two that
// brings its largest element to [1, 2), so that squares neither overflow nor vanish.
//
// Memory: a (batch, rows, columns) holds R in the panel's rows afterwards; v (batch, rows, pitch) gets
// V with its zeros and its unit diagonal; t (batch, panels, 32, 32) gets T with zeros below.
const WIDTH = 32u;
const THREADS = {{ threads }}u;
const GROUPS = {{ threads // 32 }}u;

@group(0) @binding(0) var<storage, read_write> a: array<f32>;
@group(0) @binding(1) var<storage, read_write> v: array<f32>;
@group(0) @binding(2) var<storage, read_write> t: array<f32>;

// 2^e that a column is divided by, and its inverse: exponent bits alone, of 2^-125 to 2^125.
fn powers_of(peak: f32) -> vec2<f32> {
    let power = select(clamp(bitcast<u32>(peak) >> 23u, 2u, 252u), 127u, peak == 0.0);
    return vec2<f32>(bitcast<f32>(power << 23u), bitcast<f32>((254u - power) << 23u));
}

struct Reflector { alpha: f32, tau: f32, inverse: f32 }

// I - tau v v^T with v = (1, inverse x) that turns (head, x) into (alpha, 0); `tail` is x^T x.
fn reflector(head: f32, tail: f32) -> Reflector {
    if (tail == 0.0) { return Reflector(head, 0.0, 0.0); }
    let alpha = select(-1.0, 1.0, head < 0.0) * sqrt(head * head + tail);
    return Reflector(alpha, (alpha - head) / alpha, 1.0 / (head - alpha));
}

var<workgroup> products: array<f32, WIDTH * WIDTH>;
var<workgroup> taus: array<f32, WIDTH>;

// Row k of T from row k of V^T V: T_kj = -tau_j (T_kk .. T_k,j-1) (V^T V)_j.
fn write_t(first: u32, k: u32, width: u32) {
    var row: array<f32, 32>;
    for (var j = 0u; j < WIDTH; j++) {
        var value = 0.0;
        if (j == k && k < width) {
            value = taus[k];
        } else if (j > k && j < width) {
            for (var l = k; l < j; l++) { value -= row[l] * products[l * WIDTH + j]; }
            value *= taus[j];
        }
        row[j] = value;
        t[first + k * WIDTH + j] = value;
    }
}
