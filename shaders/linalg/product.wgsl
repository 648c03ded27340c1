// Operands of products of views: c = alpha a b + beta c, or a triangle of it. Included by the variants.
//
// Memory: views of {{ scalar }} as in linalg/batch.wgsl. An operand may lie in c's own buffer (a_in_c, b_in_c),
//% if vector
// in a part that this launch does not write. Words of four elements: starts, steps and extents are multiples of 4.
//% else
// in a part that this launch does not write.
//% endif
// Limits: 2^32 elements a buffer.
//% set views = ["a", "b", "c"]
//% from "linalg/batch.wgsl" import fields, starts with context
//% if scalar == "f16"
enable f16;
//% endif
//% set complex = scalar == "c64"
//% if complex
alias c64x1 = vec2<f32>;
alias S = c64x1;
alias E = vec2<f32>;
//% else
alias S = {{ scalar }};
alias E = f32;
//% endif
//% if vector
alias W = vec4<S>;
//% else
alias W = S;
//% endif

// Of c: all of it, the lower or the upper triangle.
const LOWER = 1u;
const UPPER = 2u;

struct Params {
    m: u32,
    n: u32,
    k: u32,
    part: u32,
    alpha: f32,
    alpha_im: f32,
    beta: f32,
    beta_im: f32,
{{ fields() }}}

//% if not a_in_c
@group(0) @binding(0) var<storage, read> a: array<W>;
//% endif
//% if not b_in_c
@group(0) @binding(1) var<storage, read> b: array<W>;
//% endif
@group(0) @binding(2) var<storage, read_write> c: array<W>;
@group(0) @binding(3) var<uniform> params: Params;
{{ starts() }}
//% for name, inside, conjugated in (("a", a_in_c, conjugate_a), ("b", b_in_c, conjugate_b))
fn word_of_{{ name }}(at: u32) -> W {
//% if inside
    return c[at];
//% else
    return {{ name }}[at];
//% endif
}

//% if not vector
fn element_of_{{ name }}(at: u32) -> E {
//% if conjugated
    let v = word_of_{{ name }}(at);
    return vec2<f32>(v.x, -v.y);
//% else
    return E(word_of_{{ name }}(at));
//% endif
}

//% endif
//% endfor
fn is_outside(i: u32, j: u32) -> bool {
    return (params.part == LOWER && j > i) || (params.part == UPPER && j < i);
}
//% if complex

fn times(p: E, q: E) -> E {
    return vec2<f32>(p.x * q.x - p.y * q.y, p.x * q.y + p.y * q.x);
}
//% endif
//% if not vector

fn store(sum: E, first: u32, i: u32, j: u32) {
    if (i >= params.m || j >= params.n || is_outside(i, j)) { return; }
    let at = first + i * params.c_row + j * params.c_column;
//% if complex
    var v = times(vec2<f32>(params.alpha, params.alpha_im), sum);
    if (params.beta != 0.0 || params.beta_im != 0.0) {
        v += times(vec2<f32>(params.beta, params.beta_im), c[at]);
    }
//% else
    var v = params.alpha * sum;
    if (params.beta != 0.0) { v = fma(params.beta, E(c[at]), v); }
//% endif
    c[at] = S(v);
}
//% endif
