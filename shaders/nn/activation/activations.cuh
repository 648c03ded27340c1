// The activations of shaders/nn/activation/activations.wgsl in CUDA C++, with the same formulas.
INLINE float times_sigmoid(float x, float magnitude, bool is_negative) {
    const float e = __expf(-fminf(magnitude, 100.0f));
    return x * __fdividef(is_negative ? e : 1.0f, 1.0f + e);
}
INLINE float act_relu(float v) { return __float_as_uint(v) - 0x80000000u <= 0x7f800000u ? 0.0f : v; }
INLINE float act_silu(float v) { return times_sigmoid(v, fabsf(v), v < 0.0f); }
INLINE float act_quick_gelu(float v) { return times_sigmoid(v, 1.702f * fminf(fabsf(v), 100.0f), v < 0.0f); }
INLINE float act_gelu_tanh(float v) {
    const float a = fminf(fabsf(v), 20.0f);
    return times_sigmoid(v, 1.5957691216057308f * fmaf(0.044715f * a * a, a, a), v < 0.0f);
}
INLINE float act_gelu(float v) {
    const float a = fminf(fabsf(v), 20.0f);
    const float u = __fdividef(1.0f, fmaf(0.3f, a, 1.0f));
    float p = 3.83779911e-02f;
    p = fmaf(p, u, -1.69164842e-01f);
    p = fmaf(p, u, 2.28657816e-01f);
    p = fmaf(p, u, -7.65042723e-02f);
    p = fmaf(p, u, 1.42534249e-01f);
    p = fmaf(p, u, 9.46839689e-02f);
    p = fmaf(p, u, 1.21920251e-01f);
    p = fmaf(p, u, 1.19487699e-01f);
    p = fmaf(p, u, 7.16843424e-06f);
    const float tail = __expf(-0.5f * a * a) * p;
    return v * (v < 0.0f ? tail : 1.0f - tail);
}
INLINE float act_geglu(float v) { return act_gelu(v); }
INLINE float act_none(float v) { return v; }
