// Activations on f32, included by elementwise kernels and by the epilogues of products.
//
// All but relu are v times a probability, written so that nothing overflows or cancels: exp gets
// arguments <= 0 only, and a NaN stays one. Errors: 4 ulp for v >= 0; below, where the true value
// fades like exp(-s), rounding s costs s ulp more.

// 1 / (1 + exp(-v)) times x, for |v| given and the sign of v.
fn act_times_sigmoid(x: f32, magnitude: f32, negative: bool) -> f32 {
    let e = exp(-min(magnitude, 100.0));
    return x * (select(1.0, e, negative) / (1.0 + e));
}

// v where it is positive, else 0: the bits from -0 to -infinity. (Compilers turn a comparison into
// max, which may drop a NaN.)
fn act_relu(v: f32) -> f32 {
    return select(v, 0.0, bitcast<u32>(v) - 0x80000000u <= 0x7f800000u);
}

// v * sigmoid(v), also called swish.
fn act_silu(v: f32) -> f32 {
    return act_times_sigmoid(v, abs(v), v < 0.0);
}

// v * sigmoid(1.702 v).
fn act_quick_gelu(v: f32) -> f32 {
    return act_times_sigmoid(v, 1.702 * min(abs(v), 100.0), v < 0.0);
}

// v/2 (1 + tanh(sqrt(2/pi) (v + 0.044715 v^3))), as (1 + tanh(y)) / 2 = sigmoid(2 y).
fn act_gelu_tanh(v: f32) -> f32 {
    let a = min(abs(v), 20.0);
    return act_times_sigmoid(v, 1.5957691216057308 * fma(0.044715 * a * a, a, a), v < 0.0);
}

// Probability that a normal variable is below -a, for 0 <= a <= 20: exp(-a^2 / 2) times a
// polynomial in 1 / (1 + 0.3 a). Relative error of the polynomial 6e-8, in f32 4e-7; the fit and
// its script are our own: tools/fits/normal_tail.py.
fn normal_tail(a: f32) -> f32 {
    let u = 1.0 / fma(0.3, a, 1.0);
    var p = 3.83779911e-02;
    p = fma(p, u, -1.69164842e-01);
    p = fma(p, u, 2.28657816e-01);
    p = fma(p, u, -7.65042723e-02);
    p = fma(p, u, 1.42534249e-01);
    p = fma(p, u, 9.46839689e-02);
    p = fma(p, u, 1.21920251e-01);
    p = fma(p, u, 1.19487699e-01);
    p = fma(p, u, 7.16843424e-06);
    return exp(-0.5 * a * a) * p;
}

// v Phi(v) with the normal distribution function Phi: v/2 (1 + erf(v / sqrt(2))), the exact GELU.
fn act_gelu(v: f32) -> f32 {
    let tail = normal_tail(min(abs(v), 20.0));
    return v * select(1.0 - tail, tail, v < 0.0);
}
