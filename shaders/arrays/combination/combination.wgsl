// Linear combination of {{ terms }} array(s) of one shape, summed in f32 from the first to the last.
// The coefficients are in the uniform, so that a sampler's steps share one kernel. The result may
// have a type of its own ({{ target }}) and hold the sum several times, one after the other.
//% include "arrays/combination/flat.wgsl"
//% include "arrays/combination/each.wgsl"

//% if width == 4
alias R = vec4<{{ target }}>;
//% else
alias R = {{ target }};
//% endif

// period: words of a term.
struct Params {
    count: u32,
    period: u32,
//% for i in range(terms)
    c{{ i }}: f32,
//% endfor
}

//% for i in range(terms)
@group(0) @binding({{ i }}) var<storage, read> x{{ i }}: array<W>;
//% endfor
@group(0) @binding({{ terms }}) var<storage, read_write> y: array<R>;
@group(0) @binding({{ terms + 1 }}) var<uniform> params: Params;

fn result(index: u32) -> R {
//% if repeated
    let i = index % params.period;
//% else
    let i = index;
//% endif
    var sum = params.c0 * F(x0[i]);
//% for i in range(1, terms)
    sum += params.c{{ i }} * F(x{{ i }}[i]);
//% endfor
    return R(sum);
}
