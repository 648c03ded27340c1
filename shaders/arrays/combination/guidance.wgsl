// Classifier-free guidance (Ho and Salimans 2022, arXiv 2207.12598) on a batch whose first half is
// unconditional, its second half conditional: g = u + scale (c - u), in f32.
//% if plus
// Then the step of a sampler: factor g + weight base, of the type of base.
//% endif
//% include "arrays/combination/flat.wgsl"
//% include "arrays/combination/each.wgsl"

//% if width == 4
alias R = vec4<{{ target }}>;
//% else
alias R = {{ target }};
//% endif

struct Params { count: u32, scale: f32, factor: f32, weight: f32 }

@group(0) @binding(0) var<storage, read> x: array<W>;
//% if plus
@group(0) @binding(1) var<storage, read> base: array<R>;
//% endif
@group(0) @binding(2) var<storage, read_write> y: array<R>;
@group(0) @binding(3) var<uniform> params: Params;

fn result(i: u32) -> R {
    let u = F(x[i]);
    let c = F(x[params.count + i]);
    let guided = u + params.scale * (c - u);
//% if plus
    return R(params.factor * guided + params.weight * F(base[i]));
//% else
    return R(guided);
//% endif
}
