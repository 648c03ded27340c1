// Matrices of low-rank adapters, brought from their files' order into a slot of one layer: turned round, times
// a factor, and filled up with zeros. Workgroups along y each make one move of a table; numbers that the slot
// cannot hold are counted.
//
// Layout: source has the matrices one after another, each from `first` on as (columns, rows) of the scalar S,
// where a row is a channel and then a tap. moves has three words for each, from move `skip` on: first, line,
// rows, columns; count, width, base, pitch; channels, taps, up, factor. down and up are of the scalar T:
// element (p, q) of a move lies at `base` + p `pitch` + q of one of them, its rows tap by tap. Rows and
// columns past those of the source are zeros. failures has one number.
// Limits: 2^32 - 2^22 elements of a move; places in source, down and up below 2^32; 65535 moves.
//% if "f16" in (scalar, target)
enable f16;
//% endif
alias S = {{ scalar }};
alias T = {{ target }};

struct Params { skip: u32 }

@group(0) @binding(0) var<storage, read> source: array<S>;
@group(0) @binding(1) var<storage, read> moves: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> failures: array<atomic<u32>>;
@group(0) @binding(3) var<storage, read_write> down: array<T>;
@group(0) @binding(4) var<storage, read_write> up: array<T>;
@group(0) @binding(5) var<uniform> params: Params;

// From these bits on, a number is infinite or NaN in T: 65520 would be rounded up.
//% if target == "f16"
const BEYOND = 0x477ff000u;
//% else
const BEYOND = 0x7f800000u;
//% endif

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let word = (params.skip + id.y) * 3u;
    let given = moves[word];      // first, line, rows, columns
    let made = moves[word + 1u];  // count, width, base, pitch
    let more = moves[word + 2u];  // channels, taps, up, factor
    for (var index = id.x; index < made.x; index += groups.x * 64u) {
        let p = index / made.y;
        let q = index % made.y;
        var value = 0.0;
        if (p < given.z && q < given.w) {
            let at = p % more.x * more.y + p / more.x;
            value = f32(source[given.x + q * given.y + at]) * bitcast<f32>(more.w);
            if ((bitcast<u32>(value) & 0x7fffffffu) >= BEYOND) {
                atomicAdd(&failures[0], 1u);
                value = 0.0;
            }
        }
        let to = made.z + p * made.w + q;
        if (more.z == 1u) {
            up[to] = T(value);
        } else {
            down[to] = T(value);
        }
    }
}
