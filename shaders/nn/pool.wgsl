//% if pairs
// The {{ kind }} of each window of a feature map; a NaN in a window is its result. Sums are in f32, maxima in pairs of f16.
//% else
// The {{ kind }} of each window of a feature map; a NaN in a window is its result. Sums are in f32.
//% endif
//% set mends = pairs or noted
//% include "arrays/combination/wide.wgsl"
//% set more = "strip: u32, end_z: i32, end_y: i32, end_x: i32,"
//% include "nn/window_params.wgsl"

//% if pairs
@group(0) @binding(0) var<storage, read> x: array<f16x{{ width }}>;
@group(0) @binding(1) var<storage, read_write> y: array<f16x{{ width }}>;
//% else
@group(0) @binding(0) var<storage, read> x: array<W>;
@group(0) @binding(1) var<storage, read_write> y: array<W>;
//% endif
//% if sizes
const params = Params({{ sizes }});
//% else
@group(0) @binding(2) var<uniform> params: Params;
//% endif
//% if kind == "max" and not pairs
// No constant may be infinite.
@group(0) @binding(3) var<uniform> least: Least;

struct Least { value: f32 }
//% endif

//% if pairs
//% if width < 8
//% if width == 4
alias f16x{{ width }} = vec2<u32>;
//% else
alias f16x{{ width }} = u32;
//% endif
//% endif
// Two f16 in each 32 bits.
alias V = f16x{{ width }};
alias B = V;

const LOWEST = 0xfc00fc00u;

fn widened(word: V) -> V { return word; }

fn outside() -> V { return V(LOWEST); }

fn larger_pair(a: u32, b: u32) -> u32 {
    return bitcast<u32>(max(bitcast<vec2<f16>>(a), bitcast<vec2<f16>>(b)));
}

fn taken(a: V, b: V) -> V {
//% if width == 2
    return larger_pair(a, b);
//% else
    return V({% for e in "xyzw"[: width // 2] %}{{ ", " if e != "x" }}larger_pair(a.{{ e }}, b.{{ e }}){% endfor %});
//% endif
}

// The highest bit of each half is set for NaN, whose magnitude is above that of infinity, 0x7c00.
fn marks(v: V) -> B { return (v & V(0x7fff7fffu)) + V(0x03ff03ffu); }

fn marked(v: V, bits: B) -> V {
//% if width == 2
    let ones = (bits >> 15u) & V(0x00010001u);
//% else
    let ones = (bits >> V(15u)) & V(0x00010001u);
//% endif
    return v | (ones * 0x7e00u);
}

// Sums of the elements, pair by pair.
//% if width == 8
struct Seen { low: vec4<f16>, high: vec4<f16> }

fn noticed(seen: Seen, v: V) -> Seen {
    return Seen(seen.low + bitcast<vec4<f16>>(v.xy), seen.high + bitcast<vec4<f16>>(v.zw));
}
//% else
alias Seen = vec{{ width }}<f16>;

fn noticed(seen: Seen, v: V) -> Seen { return seen + bitcast<Seen>(v); }
//% endif

// Whether a sum is infinite or NaN: its exponent is all ones.
fn suspect(seen: Seen) -> bool {
//% if width == 8
    let v = V(bitcast<vec2<u32>>(seen.low), bitcast<vec2<u32>>(seen.high));
//% else
    let v = bitcast<V>(seen);
//% endif
    let bits = (v & V(0x7c007c00u)) + V(0x04000400u);
//% if width == 2
    return (bits & 0x80008000u) != 0u;
//% else
    return any((bits & B(0x80008000u)) != B());
//% endif
}

fn narrowed(v: V) -> V { return v; }
//% elif kind == "max" and noted
alias V = F;
//% if width == 1
alias B = u32;
//% else
alias B = vec{{ width }}<u32>;
//% endif

fn widened(word: W) -> V { return part0(word); }

fn outside() -> V { return V(least.value); }

fn taken(a: V, b: V) -> V { return max(a, b); }

// The highest bit is set for NaN.
fn marks(v: V) -> B { return (bitcast<B>(v) & B(0x7fffffffu)) + B(0x007fffffu); }

fn marked(v: V, bits: B) -> V {
    return bitcast<V>(select(bitcast<B>(v), B(0x7fc00000u), bits > B(0x7fffffffu)));
}

alias Seen = V;

fn noticed(seen: Seen, v: V) -> Seen { return seen + v; }

// Whether a sum is infinite or NaN.
fn suspect(seen: Seen) -> bool {
    let ends = (bitcast<B>(seen) & B(0x7f800000u)) == B(0x7f800000u);
//% if width == 1
    return ends;
//% else
    return any(ends);
//% endif
}

fn narrowed(v: V) -> W { return packed(v); }
//% elif kind == "max"
//% if width == 1
alias B = u32;
//% else
alias B = vec{{ width }}<u32>;
//% endif

// The largest element, and the greatest of all magnitudes as bits: above those of infinity for NaN.
struct V { high: F, bits: B }

fn widened(word: W) -> V {
    let v = part0(word);
    return V(v, bitcast<B>(v) & B(0x7fffffffu));
}

fn outside() -> V { return V(F(least.value), B()); }

fn taken(a: V, b: V) -> V { return V(max(a.high, b.high), max(a.bits, b.bits)); }

fn narrowed(v: V) -> W {
    return packed(select(v.high, bitcast<F>(v.bits), v.bits > B(0x7f800000u)));
}
//% else
//% if width == 8
alias V = mat2x4<f32>;
//% else
alias V = F;
//% endif

//% if width == 8
fn widened(word: W) -> V { return V(part0(word), part1(word)); }
//% else
fn widened(word: W) -> V { return part0(word); }
//% endif

fn outside() -> V { return V(); }

fn taken(a: V, b: V) -> V { return a + b; }

//% if width == 8
fn narrowed(v: V) -> W { return packed(v[0], v[1]); }
//% else
fn narrowed(v: V) -> W { return packed(v); }
//% endif
//% endif

fn start() -> V { return outside(); }
//% if kind == "max"

fn store(v: V, at: u32, c: u32, oz: u32, oy: u32, ox: u32) { y[at * params.units + c] = narrowed(v); }
//% else

//% if counted
// Elements of a window along an axis: of the image and its padding.
//% else
// Elements of a window along an axis: of the image.
//% endif
fn counted(result: u32, kernel: u32, stride: u32, before: i32, size: u32, end: i32) -> f32 {
    let first = i32(result * stride) - before;
//% if counted
    return f32(min(first + i32(kernel), end) - first);
//% else
    return f32(min(first + i32(kernel), i32(size)) - max(first, 0));
//% endif
}

fn store(sum: V, at: u32, c: u32, oz: u32, oy: u32, ox: u32) {
//% for a in "zyx"
    let n_{{ a }} = counted(
        o{{ a }}, params.kernel_{{ a }}, params.stride_{{ a }}, params.before_{{ a }}, params.size_{{ a }}, params.end_{{ a }},
    );
//% endfor
    let n = n_z * n_y * n_x;
//% if scalar == "f16"
    y[at * params.units + c] = narrowed(sum * (1.0 / n));
//% else
    y[at * params.units + c] = narrowed(sum / n);
//% endif
}
//% endif

//% set weighted = false
//% include "nn/window.wgsl"
