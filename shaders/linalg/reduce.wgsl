// Reduces the last axis of one array, or of two of one shape: "{{ kind }}". A row is cut into chunks, whose
// states a second launch of this file (`merging`) makes one; a row of one chunk is finished at once.
//
// {{ lanes }} lanes take a chunk, neighbours reading neighbouring words, and make their states one in a tree in
// workgroup memory. With one lane there is no barrier, which software renderers want.
// nrm2 keeps three sums of squares, of large, middle and small elements, the outer two scaled by powers
// of two, so that nothing overflows or vanishes (Blue 1978, doi 10.1145/355769.355771; constants:
// Anderson 2017, doi 10.1145/3061665). Maxima compare bits, in which a NaN is above everything.
//
// Memory: x (and y) are (rows, length) in words of {{ unit }}; a state is one word of `result`.
// Workgroup memory: 16 bytes a lane at most. Limits: 2^32 words.
//% if "f16" in (scalar, out)
enable f16;
//% endif
//% if scalar == "c64"
alias c64x1 = vec2<f32>;
alias S = c64x1;
//% else
alias S = {{ scalar }};
//% endif
//% set keyed = kind in ("iamax", "amax", "amin")
//% set state = {"iamax": "vec2<u32>", "amax": "u32", "amin": "u32", "nrm2": "vec4<f32>"}.get(kind, "S" if scalar == "c64" else "f32")
alias A = {{ state }};
//% if merging
alias X = A;
//% elif unit == 4
alias X = vec4<S>;
//% else
alias X = S;
//% endif
//% if partial
alias R = A;
//% elif scalar == "c64"
alias R = S;
//% else
alias R = {{ out }};
//% endif

const LANES = {{ lanes }}u;
const GROUP = {{ group }}u;

struct Params {
    rows: u32,
    chunks: u32,
    length: u32,
    span: u32,
    power: f32,
}

@group(0) @binding(0) var<storage, read> x: array<X>;
//% if kind == "dot" and not merging
@group(0) @binding(1) var<storage, read> y: array<X>;
//% endif
@group(0) @binding(2) var<storage, read_write> result: array<R>;
@group(0) @binding(3) var<uniform> params: Params;

//% if keyed or kind in ("nrm2", "count", "power")
const NAN_KEY = 0x7f800001u;

// Order of sizes as integers; every NaN is one key.
fn key_of(v: f32) -> u32 {
    return min(bitcast<u32>(v) & 0x7fffffffu, NAN_KEY);
}

//% endif
//% if kind == "power"
// Of 0 and of infinity WGSL's pow may be anything.
fn power_of(size: f32, power: f32) -> f32 {
    let key = key_of(size);
    let infinity = bitcast<f32>(max(key, 0x7f800000u));
    let edge = select(0.0, infinity, (key == 0u) == (power < 0.0));
    return select(pow(size, power), edge, key == 0u || key == 0x7f800000u);
}

//% endif
fn merge(a: A, b: A) -> A {
//% if kind == "iamax"
    return select(a, b, b.x > a.x || (b.x == a.x && b.y < a.y));
//% elif kind == "amax"
    return max(a, b);
//% elif kind == "amin"
    return min(a, b);
//% else
    return a + b;
//% endif
}

fn nothing() -> A {
//% if kind == "iamax"
    return vec2<u32>(0u, 0xffffffffu);
//% elif kind == "amin"
    return 0xffffffffu;
//% else
    return A();
//% endif
}

// The state with the word at `at` taken in, the row's `i`-th.
fn take(before: A, at: u32, i: u32) -> A {
    var sum = before;
//% if merging
    sum = merge(sum, x[at]);
//% elif kind == "dot" and scalar == "c64"
    let a = x[at];
    let b = y[at];
//% if conjugate
    sum += vec2<f32>(a.x * b.x + a.y * b.y, a.x * b.y - a.y * b.x);
//% else
    sum += vec2<f32>(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x);
//% endif
//% else
    let word = x[at];
//% if kind == "dot"
    let other = y[at];
//% endif
//% for e in range(unit)
    {
//% if unit == 4
        let v = f32(word{{ "." ~ "xyzw"[e] }});
//% else
        let v = f32(word);
//% endif
//% if kind == "dot"
//% if unit == 4
        sum = fma(v, f32(other{{ "." ~ "xyzw"[e] }}), sum);
//% else
        sum = fma(v, f32(other), sum);
//% endif
//% elif kind == "asum"
        sum += abs(v);
//% elif kind == "count"
        sum += select(0.0, 1.0, key_of(v) != 0u);
//% elif kind == "power"
        sum += power_of(abs(v), params.power);
//% elif kind == "nrm2"
        let size = abs(v);
        // Sizes that are NaN or infinite count as large, so that they meet in one sum.
        let large = key_of(v) > key_of(0x1p52);
        let small = size < 0x1p-63;
        let scaled = v * select(select(1.0, 0x1p75, small), 0x1p-76, large);
        let square = scaled * scaled;
        sum += select(vec4<f32>(), vec4<f32>(square), vec4<bool>(large, !large && !small, small, false));
//% elif kind == "iamax"
        sum = merge(sum, vec2<u32>(key_of(v), {{ unit }}u * i + {{ e }}u));
//% elif kind == "amin"
        // A NaN is the least, as np.min has it.
        let key = key_of(v);
        sum = merge(sum, select(key + 1u, 0u, key == NAN_KEY));
//% else
        sum = merge(sum, key_of(v));
//% endif
    }
//% endfor
//% endif
    return sum;
}

fn finish(a: A) -> R {
//% if partial
    return a;
//% elif kind == "iamax"
    return R(a.y);
//% elif kind == "amax"
    return R(bitcast<f32>(a));
//% elif kind == "amin"
    return R(bitcast<f32>(select(a - 1u, NAN_KEY, a == 0u)));
//% elif kind == "nrm2"
    if (key_of(a.x) != 0u) {
        // Not a sum of squares: engines fold 2^-76 twice into 2^-152, which is no f32.
        let large = sqrt(a.x);
        let ratio = sqrt(a.y) * 0x1p-76 / large;
        return R(large * sqrt(1.0 + ratio * ratio) * 0x1p76);
    }
    let middle = sqrt(a.y);
    let small = sqrt(a.z) * 0x1p-75;
    if (small > 0.0 && a.y == 0.0) {
        return R(small);
    }
    let ratio = small / select(middle, 1.0, a.y == 0.0);
    return R(middle * sqrt(1.0 + ratio * ratio));
//% elif kind == "power"
    return R(power_of(a, 1.0 / params.power));
//% else
    return R(a);
//% endif
}
//% if lanes > 1

var<workgroup> states: array<A, GROUP>;
//% endif

@compute @workgroup_size(GROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let job = (group.x + group.y * 65535u) * (GROUP / LANES) + t / LANES;
    let lane = t % LANES;
    let jobs = params.rows * params.chunks;
    // Lanes of jobs past the end take part in the barriers.
    let row = min(job, jobs - 1u) / params.chunks;
    let chunk = min(job, jobs - 1u) % params.chunks;
    let end = min((chunk + 1u) * params.span, params.length);
    var sum = nothing();
    var i = chunk * params.span + lane;
//% if lanes > 1
    for (; i + 3u * LANES < end; i += 4u * LANES) {
//% for u in range(4)
        sum = take(sum, row * params.length + i + {{ u }}u * LANES, i + {{ u }}u * LANES);
//% endfor
    }
//% endif
    for (; i < end; i += LANES) { sum = take(sum, row * params.length + i, i); }
//% if lanes > 1
    states[t] = sum;
    for (var step = LANES / 2u; step > 0u; step /= 2u) {
        workgroupBarrier();
        if (lane < step) { states[t] = merge(states[t], states[t + step]); }
    }
    sum = states[t];
//% endif
    if (job < jobs && lane == 0u) { result[job] = finish(sum); }
}
