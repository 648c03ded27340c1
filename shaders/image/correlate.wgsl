// A window of {{ size }} by {{ size }} pixels, of which those that `used` names (row by row) are {{ {"sum": "weighted and summed from the first to the last", "min": "folded to their least", "max": "folded to their greatest"}[fold] }}.
//% set taps = used.split() | map("int") | list
//% if fold == "sum"
@group(0) @binding(1) var<storage, read> weights: array<f32>;

//% endif
fn made(v: array<F, {{ size * size }}>) -> F {
//% for t in taps
//% set value = "%sv[%d]" % ("weights[%d] * " % loop.index0 if fold == "sum" else "", t)
//% if loop.first
    var total = {{ value }};
//% else
//% if fold == "sum"
    total = total + {{ value }};
//% else
    total = {{ fold }}(total, {{ value }});
//% endif
//% endif
//% endfor
    return total;
}
//% include "image/stencil.wgsl"
