// Activations on f32 that only elementwise kernels apply, with parameters params.a to params.c.
//
// Nothing overflows or cancels: exp gets arguments <= 0 where that can be, exp(v) - 1 and log(1 + e)
// are series near 0. Errors: 6 ulp, and more where exp(-s) is small, whose rounding of s costs s ulp.
//% include "nn/activation/activations.wgsl"

// r, but v where that is NaN (by its bits: compilers may drop comparisons with NaN).
fn kept(v: f32, r: f32) -> f32 {
    return select(r, v, (bitcast<u32>(v) & 0x7fffffffu) > 0x7f800000u);
}

fn negative(v: f32) -> bool { return (bitcast<u32>(v) & 0x80000000u) != 0u; }

fn relu6(v: f32) -> f32 { return min(act_relu(v), 6.0); }

fn leaky_relu(v: f32) -> f32 { return select(v, v * params.a, negative(v)); }

// exp(v) - 1 for v <= 1; Taylor's series where exp(v) would cancel: its rest is v^9 / 9!.
fn exp_less_one(v: f32) -> f32 {
    var p = fma(v, 1.0 / 40320.0, 1.0 / 5040.0);
    p = fma(p, v, 1.0 / 720.0);
    p = fma(p, v, 1.0 / 120.0);
    p = fma(p, v, 1.0 / 24.0);
    p = fma(p, v, 1.0 / 6.0);
    p = fma(p, v, 0.5);
    return select(exp(v) - 1.0, fma(p * v, v, v), abs(v) < 0.5);
}

// log(1 + e) for 0 <= e <= 1, as 2 atanh(e / (2 + e)): the series' rest is below 2e-9 of it.
fn log_one_more(e: f32) -> f32 {
    let s = e / (2.0 + e);
    let q = s * s;
    var p = fma(q, 1.0 / 15.0, 1.0 / 13.0);
    p = fma(p, q, 1.0 / 11.0);
    p = fma(p, q, 1.0 / 9.0);
    p = fma(p, q, 1.0 / 7.0);
    p = fma(p, q, 0.2);
    p = fma(p, q, 1.0 / 3.0);
    return 2.0 * fma(p * q, s, s);
}

fn elu(v: f32) -> f32 {
    return select(v, params.a * exp_less_one(clamp(v, -100.0, 0.0)), negative(v));
}

// The fixed point's scale, and scale times alpha (Klambauer et al. 2017, arXiv 1706.02515).
fn selu(v: f32) -> f32 {
    let low = 1.7580993408473766 * exp_less_one(clamp(v, -100.0, 0.0));
    return select(1.0507009873554805 * v, low, negative(v));
}

fn sigmoid(v: f32) -> f32 { return act_times_sigmoid(1.0, abs(v), negative(v)); }

// min before the division: v / 6 of a large v stays finite.
fn hardsigmoid(v: f32) -> f32 { return clamp(v + 3.0, 0.0, 6.0) / 6.0; }

fn hardswish(v: f32) -> f32 { return v * hardsigmoid(v); }

// (exp(2 a) - 1) / (exp(2 a) + 1) of a = |v|: 1 from a = 10 on.
fn precise_tanh(v: f32) -> f32 {
    let a = min(abs(v), 10.0);
    let near = exp_less_one(min(2.0 * a, 0.5));
    let r = select(1.0 - 2.0 / (exp(2.0 * a) + 1.0), near / (near + 2.0), a < 0.25);
    return select(r, -r, negative(v));
}

fn softplus(v: f32) -> f32 {
    let z = v * params.a;
    let r = (max(z, 0.0) + log_one_more(exp(-min(abs(z), 100.0)))) * params.c;
    return select(r, v, z > params.b);
}

// tanh(log(1 + e)) = n / (n + 2) with n = e (e + 2); for v > 0 both are divided by e^2.
fn mish(v: f32) -> f32 {
    let e = exp(-min(abs(v), 100.0));
    let low = e * (e + 2.0);
    let high = fma(2.0, e, 1.0);
    return v * select(high / fma(2.0 * e, e, high), low / (low + 2.0), negative(v));
}
