// A matrix of a low-rank adapter, brought from its file's order into a slot: turned round, times a factor,
// and filled up with zeros. One result element an invocation; numbers that the slot cannot hold are counted.
//
// Layout: source is (columns, rows) of the scalar S, where a row is a channel and then a tap; slots is of the
// scalar T: element (p, q) of the result lies at `base` + p `pitch` + q, its rows tap by tap. Rows and
// columns past those of the source are zeros. failures has one number.
// Limits: 2^32 - 2^11 elements of the result; places in slots below 2^32.
//% if "f16" in (scalar, target)
enable f16;
//% endif
alias S = {{ scalar }};
alias T = {{ target }};

struct Params {
    count: u32, width: u32,        // elements of the result, and of one of its rows
    rows: u32, columns: u32,       // of the source that count
    line: u32,                     // elements of a column of the source
    channels: u32, taps: u32, base: u32, pitch: u32,
    factor: f32,
}

@group(0) @binding(0) var<storage, read> source: array<S>;
@group(0) @binding(1) var<storage, read_write> failures: array<atomic<u32>>;
@group(0) @binding(2) var<storage, read_write> slots: array<T>;
@group(0) @binding(3) var<uniform> params: Params;

// From these bits on, a number is infinite or NaN in T: 65520 would be rounded up.
//% if target == "f16"
const BEYOND = 0x477ff000u;
//% else
const BEYOND = 0x7f800000u;
//% endif

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let index = id.x + id.y * (65535u * 64u);
    if (index >= params.count) { return; }
    let p = index / params.width;
    let q = index % params.width;
    var value = 0.0;
    if (p < params.rows && q < params.columns) {
        let at = p % params.channels * params.taps + p / params.channels;
        value = f32(source[q * params.line + at]) * params.factor;
        if ((bitcast<u32>(value) & 0x7fffffffu) >= BEYOND) {
            atomicAdd(&failures[0], 1u);
            value = 0.0;
        }
    }
    slots[params.base + p * params.pitch + q] = T(value);
}
