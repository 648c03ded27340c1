// Operands of attention, shared by its variants.
//
//% if matrix is defined
// Memory: q (B, SQ, H, D), k and v (B, SK, H, D), each in rows of its own pitch, and y (B, SQ, H, D), row-major, in units of E.
//% else
// Memory: q (B, SQ, H, D), k and v (B, SK, H, D), each in rows of its own pitch, and y (B, SQ, H, D), row-major, in units of E{{ ": " ~ ("4 channels" if vector else "1 channel") }}.
//% endif
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
//% if vector
alias E = vec4<S>;
//% else
alias E = S;
//% endif
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
//% if mask is defined
    // Heads of the query that share one of the key; mask elements from one batch, head and row to the next.
    share: u32,
    mask_batch: u32, mask_head: u32, mask_row: u32,
//% endif
}

@group(0) @binding(0) var<storage, read> q: array<E>;
@group(0) @binding(1) var<storage, read> k: array<E>;
@group(0) @binding(2) var<storage, read> v: array<E>;
//% set inputs = 3
//% if mask is defined and mask != "none"
@group(0) @binding(3) var<storage, read> mask: array<{{ {1: mask, 4: "vec4<%s>" % mask, 8: "E", 32: "u32"}[mask_unit] }}>;
//% set inputs = 4
//% endif
@group(0) @binding({{ inputs }}) var<storage, read_write> y: array<E>;
@group(0) @binding({{ inputs + 1 }}) var<uniform> params: Params;

// Score of a key that a row must not see: finite, since WGSL need not have infinities.
const MASKED = -3.0e38;
//% if matrix is defined
// And of one that no row may see, even where it sees no other: below what a row's maximum begins with, by
// more than fma tells it from its rounded product.
const NEVER = -3.4e38;
//% endif
