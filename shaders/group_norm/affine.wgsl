// Last part of group norm on GPUs: y = (x - mean) * factor * gamma + beta of a lane's word of
// channels, whose factors stay the same over its pixels, then SiLU if asked for.
//
// Memory: gamma and beta are (units) words of f32; y is (images, pixels, units) of words W.
//% if silu
//% include "activation/activations.wgsl"
//% endif
//% set parts = 2 if width == 8 else 1

@group(0) @binding(3) var<storage, read> gamma: array<F>;
@group(0) @binding(4) var<storage, read> beta: array<F>;
@group(0) @binding(5) var<storage, read_write> y: array<W>;

struct Line {
    mean: f32,
//% for h in range(parts)
    scale{{ h }}: F,
    shift{{ h }}: F,
//% endfor
}

fn line_of(unit: u32, m: Moments, shift: f32) -> Line {
    let factor = 1.0 / sqrt(m.spread / m.count + params.eps);
//% if width == 8
    let u = 2u * unit;
    return Line(
        shift + m.mean, gamma[u] * factor, beta[u], gamma[u + 1u] * factor, beta[u + 1u],
    );
//% else
    return Line(shift + m.mean, gamma[unit] * factor, beta[unit]);
//% endif
}

fn activated(v: F) -> F {
//% if silu and width >= 4
    return F(act_silu(v.x), act_silu(v.y), act_silu(v.z), act_silu(v.w));
//% elif silu and width == 2
    return F(act_silu(v.x), act_silu(v.y));
//% elif silu
    return act_silu(v);
//% else
    return v;
//% endif
}

fn normal(w: W, line: Line) -> W {
//% for h in range(parts)
    let v{{ h }} = activated((part{{ h }}(w) - line.mean) * line.scale{{ h }} + line.shift{{ h }});
//% endfor
    return packed({{ "v0, v1" if width == 8 else "v0" }});
}
