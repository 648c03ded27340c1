// A signal from its windowed frames: y[t] = sum_f w[t - f hop] v[t - f hop, f] / sum_f w[t - f hop]^2,
// the signal whose frames are nearest (Griffin and Lim, IEEE Trans. ASSP 32, 1984). Where no window
// reaches, the divisor is 1.
//% if frames_last
// Memory: v is (outer, size, frames) of which the first {{ taps }} of size count; y is (outer, length).
//% else
// Memory: v is (outer, frames, size) of which the first {{ taps }} of size count; y is (outer, length).
//% endif
// Limits: 2^31 elements.
//% include "arrays/combination/each.wgsl"

alias c64x1 = vec2<f32>;
alias W = {{ scalar }};

struct Params {
    count: u32,
    length: u32,
    size: u32,
    frames: u32,
    start: u32,
    scale: f32,
}

@group(0) @binding(0) var<storage, read> v: array<W>;
@group(0) @binding(1) var<storage, read> window: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<W>;
@group(0) @binding(3) var<uniform> params: Params;

const TAPS = {{ taps }}u;
const HOP = {{ hop }}u;
// Frames that may reach a sample.
const REACH = (TAPS + HOP - 1u) / HOP;

fn result(index: u32) -> W {
//% if single
    let outer = 0u;
//% else
    let outer = index / params.length;
//% endif
    let t = index - outer * params.length + params.start;
    let low = (max(t + 1u, TAPS) - TAPS + HOP - 1u) / HOP;
    let high = min(t / HOP + 1u, params.frames);
    var sum = W();
    var norm = 0.0;
    // All frames are asked for at once; what comes of one that does not reach the sample does not count.
    for (var k = 0u; k < REACH; k++) {
        let reaches = low + k < high;
        let f = min(low + k, high - 1u);
        let i = min(t - f * HOP, TAPS - 1u);
        let w = select(0.0, window[i], reaches);
//% if frames_last
        let part = w * v[(outer * params.size + i) * params.frames + f];
//% else
        let part = w * v[(outer * params.frames + f) * params.size + i];
//% endif
        sum += select(W(), part, reaches);
        norm += w * w;
    }
    return sum * (params.scale / select(1.0, norm, norm > 1e-10));
}
