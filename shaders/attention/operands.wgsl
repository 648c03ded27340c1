// Operands of attention, shared by its rungs.
//
// Memory: q (B, SQ, H, D), k and v (B, SK, H, D), each in rows of its own pitch, and y (B, SQ, H, D), row-major, in units of E{{ "" if matrix is defined else ": " ~ ("4 channels" if vector else "1 channel") }}.
// `units` is the width of one head in E. `open` is 0 for causal attention, where row i sees keys 0..i,
// and all ones otherwise. `scale` is 1 / sqrt(D), with log2(e) folded in: weights are powers of two.
//% if scalar == "f16"
enable f16;
//% endif
//% if matrix is defined
enable subgroups;
enable chromium_experimental_subgroup_matrix;
diagnostic(off, chromium.subgroup_matrix_uniformity);
alias f16x8 = vec4<u32>;
alias E = f16x8;
//% else
//% if broadcast is defined
enable subgroups;
//% endif

alias S = {{ scalar }};
alias E = {{ "vec4<S>" if vector else "S" }};
//% endif

struct Params {
    batch: u32,
    sq: u32,
    sk: u32,
    heads: u32,
    units: u32,
    open: u32,
    scale: f32,
    // E of a row of an operand, and where the heads begin in it: q, k and v may share rows.
    q_pitch: u32, q_first: u32,
    k_pitch: u32, k_first: u32,
    v_pitch: u32, v_first: u32,
}

@group(0) @binding(0) var<storage, read> q: array<E>;
@group(0) @binding(1) var<storage, read> k: array<E>;
@group(0) @binding(2) var<storage, read> v: array<E>;
@group(0) @binding(3) var<storage, read_write> y: array<E>;
@group(0) @binding(4) var<uniform> params: Params;

// Score of a key that a row must not see: finite, since WGSL need not have infinities.
const MASKED = -3.0e38;
