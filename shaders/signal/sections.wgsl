// Operands of a cascade of {{ sections }} linear filter(s) of order {{ order }} in the transposed direct form II, as SciPy runs
// it: with states s, y = b0 x + s1, s1' = b1 x + s2 - a1 y, ..., sn' = bn x - an y, and y is the next
// one's x. A block of one signal runs from states that are {{ "given" if started else "zero" }}; written are {{ "the filtered signal" if filtered else "only the states at its end, from which those at all blocks' starts follow (states.wgsl)" }}.
//
// Memory: x and y are (outer, length, inner), states (sections, blocks, outer, order, inner), and
// coefficients of each section b0 ... bn, a1 ... an.
// Limits: 32 states.

alias c64x1 = vec2<f32>;
alias W = {{ scalar }};

// backward: 1 to run from the end to the beginning. blocks: of the states of starts and ends.
struct Params {
    count: u32,
    inner: u32,
    outer: u32,
    length: u32,
    block: u32,
    blocks: u32,
    backward: u32,
}

//% set next = namespace(binding=2)
@group(0) @binding(0) var<storage, read> x: array<W>;
@group(0) @binding(1) var<storage, read> coefficients: array<f32>;
//% if started
@group(0) @binding({{ next.binding }}) var<storage, read> starts: array<W>;
//% set next.binding = next.binding + 1
//% endif
//% if local | default(false)
@group(0) @binding({{ next.binding }}) var<storage, read> powers: array<f32>;
//% if filtered
@group(0) @binding({{ next.binding + 1 }}) var<storage, read> shares: array<W>;
//% else
@group(0) @binding({{ next.binding + 1 }}) var<storage, read_write> shares: array<W>;
//% endif
//% set next.binding = next.binding + 2
//% endif
//% if filtered
@group(0) @binding({{ next.binding }}) var<storage, read_write> y: array<W>;
//% set next.binding = next.binding + 1
//% endif
//% if ended
@group(0) @binding({{ next.binding }}) var<storage, read_write> ends: array<W>;
//% set next.binding = next.binding + 1
//% endif
@group(0) @binding({{ next.binding }}) var<uniform> params: Params;

fn state_of(section: u32, order: u32, blocks: u32, block: u32, outer: u32, inner: u32) -> u32 {
    let row = (section * blocks + block) * params.outer + outer;
    return (row * {{ order }}u + order) * params.inner + inner;
}

fn place_of(outer: u32, t: u32, inner: u32) -> u32 {
    let sample = select(t, params.length - 1u - t, params.backward != 0u);
    return (outer * params.length + sample) * params.inner + inner;
}
