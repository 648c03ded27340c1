// Last part of group norm on GPUs: y = (x - mean) * factor * gamma + beta of a lane's word of
// channels, whose factors stay the same over its pixels, then SiLU if asked for.
//
// Memory: gamma and beta are (units) words of f32 in parts F; y is (images, pixels, units) of words W.
//% set parts = 2 if width == 8 else 1

@group(0) @binding(3) var<storage, read> gamma: array<F>;
@group(0) @binding(4) var<storage, read> beta: array<F>;
@group(0) @binding(5) var<storage, read_write> y: array<W>;

struct Line {
//% for h in range(parts)
    mean{{ h }}: F,
    scale{{ h }}: F,
    shift{{ h }}: F,
//% endfor
}

fn factor_of(m: Moments) -> f32 {
    return 1.0 / sqrt(m.spread / m.count + params.eps);
}

//% if silu
// v / (1 + exp(-v)) with few instructions, which here cost about as much as memory does. What lies
// below -80, and is rounded to less than 1e-32, keeps exp finite.
fn activated(v: F) -> F {
    return v / (1.0 + exp(min(-v, F(80.0))));
}

//% endif
fn normal(w: W, line: Line) -> W {
//% for h in range(parts)
    let v{{ h }} = (part{{ h }}(w) - line.mean{{ h }}) * line.scale{{ h }} + line.shift{{ h }};
//% endfor
//% if silu
//% if parts == 2
    return packed(activated(v0), activated(v1));
//% else
    return packed(activated(v0));
//% endif
//% else
//% if parts == 2
    return packed(v0, v1);
//% else
    return packed(v0);
//% endif
//% endif
}
