// Quantised weights, expanded into a matrix of the storage scalar that a product reads as its own.
//
// An invocation makes {{ run }} weights of a column, or of four, that follow each other in the file: they share
// a block's scales. f16 is packed, which rounds to the nearest one on the devices that there are. Mesa's
// software renderer loads what is written twice, twice: Q8_0 loads a factor and its words by name. Taps are
// a constant, since dividing by them for each weight took it as long as the rest.
//
// Layout: blocks as in matmul/quantized/values.wgsl; y (K, pitch) row-major in words of {{ q_lanes }}, whose columns
// from `first` on are these weights.
// Limits: 2^32 bytes of blocks.
//% if scalar == "f16"
enable f16;
//% endif
//% include "matmul/quantized/values.wgsl"

//% if q_lanes == 1
alias Y = {{ scalar }};
alias V = f32;
//% elif scalar == "f16"
alias f16x4 = vec2<u32>;
alias Y = f16x4;
alias V = vec4<f32>;
//% else
alias Y = vec4<f32>;
alias V = vec4<f32>;
//% endif

struct Params { depth: u32, columns: u32, pitch: u32, first: u32 }

@group(0) @binding(0) var<storage, read> w: array<QW>;
@group(0) @binding(1) var<storage, read_write> y: array<Y>;
//% if sizes is defined
const params = Params({{ sizes }});
//% else
@group(0) @binding(2) var<uniform> params: Params;
//% endif

fn q_columns() -> u32 { return params.columns; }

fn q_depth() -> u32 { return params.depth; }

fn q_taps() -> u32 { return {{ taps }}u; }

fn stored(v: V) -> Y {
//% if scalar == "f32"
    return v;
//% elif q_lanes == 1
    return f16(unpack2x16float(pack2x16float(vec2<f32>(v, 0.0))).x);
//% else
    return Y(pack2x16float(v.xy), pack2x16float(v.zw));
//% endif
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let index = id.x + id.y * (65535u * 64u);
    let n = index % (q_columns() / {{ q_lanes }}u);
    let begin = index / (q_columns() / {{ q_lanes }}u) * {{ run }}u;
    let end = min(begin + {{ run }}u, q_depth());
    if (begin >= end) { return; }
//% if not whole
    for (var row = begin; row < end; row++) {
        y[k_of(row) * params.pitch + params.first + n] = stored(q_weight(row, n));
    }
//% else
    // Unrolled, so that all is loaded before anything is waited for; weights of a word are loaded once.
//% if q_block > 1
//% if q_flat
    let at = n * q_depth() + begin;
//% else
    let at = begin;
//% endif
    let b = at / {{ q_block }}u;
    let j = at % {{ q_block }}u;
//% endif
//% if q_format == "q8_0"
    let factor = q_factor(b, n);
    let word0 = q_word((b * {{ q_bytes }}u + j) / 4u, n);
    let word1 = q_word((b * {{ q_bytes }}u + j) / 4u + 1u, n);
//% endif
//% for e in range(run)
//% if q_format == "q8_0"
    let v{{ e }} = stored(factor * q_signed(word{{ e // 4 }} >> QU({{ 8 * (e % 4) }}u)));
//% elif q_block > 1
    let v{{ e }} = stored(q_value(b, j | {{ e }}u, n));
//% else
    let v{{ e }} = stored(q_value(begin | {{ e }}u, 0u, n));
//% endif
//% endfor
//% for e in range(run)
    y[k_of(begin + {{ e }}u) * params.pitch + params.first + n] = v{{ e }};
//% endfor
//% endif
}
