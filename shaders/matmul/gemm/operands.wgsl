// Operands of gemm and convolution, with the epilogue that both share.
//
// Memory: x is the left operand (its addressing comes from the included source file), w the packed
// weights (K, columns) row-major, y the result (M, N) row-major, all of the storage type S but y, which may be wider; bias is
// f32 (columns); per_image is (images, image_pitch), its columns from
// image_first on added to every row of their image; residual is like y.
// "Columns" are the weight's: N, or 2 N for GEGLU, whose value columns come first.
//
// Where kernels are compiled on the CPU that also runs them, compiling costs more than a few uniform
// branches: a flexible kernel has all bindings, and bits of params.fused tell which of them count.
//
// A batched kernel makes many products of one size, x, w and y of each behind those of the one before;
// the third dimension of the grid counts them.
//% set split = split is defined and split
//% set reduce = reduce is defined
//% set wide = matrix is defined and not reduce and activation != "geglu"
//% if scalar == "f16"
enable f16;
//% endif
//% if matrix is defined
enable subgroups;
enable chromium_experimental_subgroup_matrix;
//% if loaders is defined
enable chromium_disable_uniformity_analysis;
//% endif
diagnostic(off, chromium.subgroup_matrix_uniformity);
alias f16x8 = vec4<u32>;
alias f16x4 = vec2<u32>;
alias f16x2 = u32;
//% endif

alias S = {{ scalar }};
//% if vector
alias W = vec4<S>;
//% else
alias W = S;
//% endif
//% if wide and out == "f16"
alias Y = f16x8;
//% elif vector
alias Y = {{ "vec4<" ~ out ~ ">" }};
//% else
alias Y = {{ out }};
//% endif

//% if reduce
//% if vector
@group(0) @binding(0) var<storage, read> partials: array<vec4<{{ sums }}>>;
//% else
@group(0) @binding(0) var<storage, read> partials: array<{{ sums }}>;
//% endif
//% elif matrix is defined
@group(0) @binding(0) var<storage, read> x: array<{{ piece }}>;
//% if two
@group(0) @binding(1) var<storage, read> x2: array<f16x8>;
//% endif
//% if q_format is not defined
@group(0) @binding(2) var<storage, read> w: array<f16x8>;
//% endif
//% else
//% if word is defined
@group(0) @binding(0) var<storage, read> x: array<{{ word }}>;
//% else
@group(0) @binding(0) var<storage, read> x: array<S>;
//% endif
//% if two
//% if word is defined
@group(0) @binding(1) var<storage, read> x2: array<{{ word }}>;
//% else
@group(0) @binding(1) var<storage, read> x2: array<S>;
//% endif
//% endif
//% if q_format is not defined
//% if word is defined
@group(0) @binding(2) var<storage, read> w: array<{{ word }}>;
//% else
@group(0) @binding(2) var<storage, read> w: array<W>;
//% endif
//% endif
//% endif
//% if flexible or bias
//% if vector
@group(0) @binding(3) var<storage, read> bias: array<vec4<f32>>;
//% else
@group(0) @binding(3) var<storage, read> bias: array<f32>;
//% endif
//% endif
//% if flexible or per_image
@group(0) @binding(4) var<storage, read> image_bias: array<W>;
//% endif
//% if flexible or residual
//% if wide
@group(0) @binding(5) var<storage, read> residual: array<f16x8>;
//% else
@group(0) @binding(5) var<storage, read> residual: array<W>;
//% endif
//% endif
//% if split
@group(0) @binding(6) var<storage, read_write> partials: array<vec4<f32>>;
//% else
@group(0) @binding(6) var<storage, read_write> y: array<Y>;
//% endif
//% if sizes is defined
const params = Params({{ sizes }});
//% else
@group(0) @binding(7) var<uniform> params: Params;
//% endif

// Outside of the source: reads as zero.
const NONE = 0xffffffffu;
//% if batched

// Number of the product in the batch, as main sets it.
var<private> batch: u32;
//% endif

//% include source
//% if q_format is defined

//% include "matmul/quantized/operand.wgsl"

//% endif
//% if not split
//% include "nn/activation/activations.wgsl"

//% if vector
alias F = vec4<f32>;
//% else
alias F = f32;
//% endif

//% macro apply(name)
//% if vector
    return vec4<f32>({{ name }}(v.x), {{ name }}(v.y), {{ name }}(v.z), {{ name }}(v.w));
//% else
    return {{ name }}(v);
//% endif
//% endmacro

fn activate(v: F) -> F {
//% if activation in ("gelu", "geglu")
    {{ apply("act_gelu") }}
//% elif activation in ("silu", "gelu_tanh", "quick_gelu", "relu")
    {{ apply("act_" ~ activation) }}
//% else
    return v;
//% endif
}

// Bias of weight column(s) `c` (in units of F) for row `m`, added to an accumulated value.
fn biased(v: F, m: u32, c: u32, columns: u32) -> F {
    var r = v;
//% if flexible
    if ((params.fused & 1u) != 0u) { r += bias[c]; }
    if ((params.fused & 2u) != 0u) { r += F(image_bias[image_of(m) * params.image_pitch + params.image_first + c]); }
//% else
//% if bias
    r += bias[c];
//% endif
//% if per_image
    r += F(image_bias[image_of(m) * params.image_pitch + params.image_first + c]);
//% endif
//% endif
    return r;
}

// Place of result column(s) `n` (in units of F or f16x8; `pitch` of them a row) of row `m`.
fn place(m: u32, n: u32, pitch: u32) -> u32 {
    return result_row(m) * pitch + n;
}
//% if not wide

// Writes result column(s) `n` of row `m`.
fn store(v: F, m: u32, n: u32, pitch: u32) {
    let at = place(m, n, pitch);
//% if flexible
    var sum = v;
    if ((params.fused & 4u) != 0u) { sum += F(residual[at]); }
    y[at] = Y(sum);
//% elif residual
    y[at] = Y(v + F(residual[at]));
//% else
    y[at] = Y(v);
//% endif
}
//% endif
//% endif
