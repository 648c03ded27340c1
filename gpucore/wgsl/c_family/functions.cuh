// WGSL's built-in functions on numbers, in C++; prelude.cuh comes before this.

// Those of integers come first, since templates see what stands before them.
W_DEV int w_abs(int a) { return a < 0 ? w_neg(a) : a; }
W_DEV unsigned w_abs(unsigned a) { return a; }
W_DEV int w_sign(int a) { return (a > 0) - (a < 0); }
W_DEV unsigned w_sign(unsigned a) { return a != 0u; }
W_SIGNED(w_min, a < b ? a : b)
W_UNSIGNED(w_min, a < b ? a : b)
W_SIGNED(w_max, a > b ? a : b)
W_UNSIGNED(w_max, a > b ? a : b)
W_DEV int w_clamp(int a, int b, int c) { return w_min(w_max(a, b), c); }
W_DEV unsigned w_clamp(unsigned a, unsigned b, unsigned c) { return w_min(w_max(a, b), c); }

#ifndef W_EXP
#define W_EXP expf
#define W_LOG logf
#define W_POW powf
#endif
#define W_FLOAT1(name, expression)                                                                 \
    W_DEV float name(float a) { return expression; }                                               \
    W_DEV w_half name(w_half h) { return w_f16(name(w_f32(h))); }                                  \
    W_MAP1(name)
#define W_FLOAT2(name, expression)                                                                 \
    W_DEV float name(float a, float b) { return expression; }                                      \
    W_DEV w_half name(w_half g, w_half h) { return w_f16(name(w_f32(g), w_f32(h))); }              \
    W_MAP2(name)
#define W_FLOAT3(name, expression)                                                                 \
    W_DEV float name(float a, float b, float c) { return expression; }                             \
    W_DEV w_half name(w_half f, w_half g, w_half h) {                                              \
        return w_f16(name(w_f32(f), w_f32(g), w_f32(h)));                                          \
    }                                                                                              \
    W_MAP3(name)
W_FLOAT1(w_acos, acosf(a))
W_FLOAT1(w_acosh, acoshf(a))
W_FLOAT1(w_asin, asinf(a))
W_FLOAT1(w_asinh, asinhf(a))
W_FLOAT1(w_atan, atanf(a))
W_FLOAT1(w_atanh, atanhf(a))
W_FLOAT1(w_ceil, ceilf(a))
W_FLOAT1(w_cos, cosf(a))
W_FLOAT1(w_cosh, coshf(a))
W_FLOAT1(w_degrees, a * 57.29577951308232f)
W_FLOAT1(w_exp, W_EXP(a))
W_FLOAT1(w_exp2, exp2f(a))
W_FLOAT1(w_floor, floorf(a))
W_FLOAT1(w_fract, a - floorf(a))
W_FLOAT1(w_inverseSqrt, rsqrtf(a))
W_FLOAT1(w_log, W_LOG(a))
W_FLOAT1(w_log2, log2f(a))
W_FLOAT1(w_quantizeToF16, w_f32(w_f16(a)))
W_FLOAT1(w_radians, a * 0.017453292519943295f)
W_FLOAT1(w_round, rintf(a))
W_FLOAT1(w_saturate, fminf(fmaxf(a, 0.0f), 1.0f))
W_FLOAT1(w_sin, sinf(a))
W_FLOAT1(w_sinh, sinhf(a))
W_FLOAT1(w_sqrt, sqrtf(a))
W_FLOAT1(w_tan, tanf(a))
W_FLOAT1(w_tanh, tanhf(a))
W_FLOAT1(w_trunc, truncf(a))
W_FLOAT1(w_abs, fabsf(a))
W_FLOAT1(w_sign, a > 0.0f ? 1.0f : a < 0.0f ? -1.0f : 0.0f)
W_FLOAT2(w_atan2, atan2f(a, b))
W_FLOAT2(w_pow, W_POW(a, b))
W_FLOAT2(w_step, a <= b ? 1.0f : 0.0f)
W_FLOAT2(w_min, fminf(a, b))
W_FLOAT2(w_max, fmaxf(a, b))
W_FLOAT3(w_clamp, fminf(fmaxf(a, b), c))
#ifdef W_HALF_PAIRS
// Two f16 at once
#define W_PAIRS(name, text)                                                                        \
    W_DEV w_vec<w_half, 2> name(w_vec<w_half, 2> a, w_vec<w_half, 2> b) {                          \
        unsigned r, p = w_bitcast<unsigned>(a), q = w_bitcast<unsigned>(b);                        \
        asm(text " %0, %1, %2;" : "=r"(r) : "r"(p), "r"(q));                                       \
        return w_bitcast<w_vec<w_half, 2>>(r);                                                     \
    }                                                                                              \
    W_DEV w_vec<w_half, 4> name(w_vec<w_half, 4> a, w_vec<w_half, 4> b) {                          \
        using w_pair = w_vec<w_half, 2>;                                                           \
        const w_pair r = name(w_pair{a.x, a.y}, w_pair{b.x, b.y});                                 \
        const w_pair s = name(w_pair{a.z, a.w}, w_pair{b.z, b.w});                                 \
        return w_vec<w_half, 4>{r.x, r.y, s.x, s.y};                                               \
    }
#define W_PAIRS_MIXED(name, text)                                                                  \
    W_PAIRS(name, text)                                                                            \
    template <int N> W_DEV w_vec<w_half, N> name(w_vec<w_half, N> a, w_half b) {                   \
        return name(a, w_splat<w_half, N>(b));                                                     \
    }                                                                                              \
    template <int N> W_DEV w_vec<w_half, N> name(w_half a, w_vec<w_half, N> b) {                   \
        return name(w_splat<w_half, N>(a), b);                                                     \
    }
#ifdef W_ORDERED_HALF_PAIRS
W_PAIRS(w_min, "min.f16x2")
W_PAIRS(w_max, "max.f16x2")
#endif
W_PAIRS_MIXED(w_add, "add.rn.f16x2")
W_PAIRS_MIXED(w_sub, "sub.rn.f16x2")
W_PAIRS_MIXED(w_mul, "mul.rn.f16x2")
W_DEV w_vec<w_half, 2> w_fma(w_vec<w_half, 2> a, w_vec<w_half, 2> b, w_vec<w_half, 2> c) {
    unsigned r, p = w_bitcast<unsigned>(a), q = w_bitcast<unsigned>(b), s = w_bitcast<unsigned>(c);
    asm("fma.rn.f16x2 %0, %1, %2, %3;" : "=r"(r) : "r"(p), "r"(q), "r"(s));
    return w_bitcast<w_vec<w_half, 2>>(r);
}
W_DEV w_vec<w_half, 4> w_fma(w_vec<w_half, 4> a, w_vec<w_half, 4> b, w_vec<w_half, 4> c) {
    using w_pair = w_vec<w_half, 2>;
    const w_pair r = w_fma(w_pair{a.x, a.y}, w_pair{b.x, b.y}, w_pair{c.x, c.y});
    const w_pair s = w_fma(w_pair{a.z, a.w}, w_pair{b.z, b.w}, w_pair{c.z, c.w});
    return w_vec<w_half, 4>{r.x, r.y, s.x, s.y};
}
#endif
W_DEV float w_smooth(float t) { return t * t * (3.0f - 2.0f * t); }
W_FLOAT3(w_smoothstep, w_smooth(w_saturate((c - a) / (b - a))))
W_FLOAT3(w_mix, a * (1.0f - c) + b * c)
template <class T, int N> W_DEV w_vec<T, N> w_mix(w_vec<T, N> a, w_vec<T, N> b, T c) {
    return w_mix(a, b, w_splat<T, N>(c));
}
W_DEV float w_fma(float a, float b, float c) { return fmaf(a, b, c); }
W_MAP3(w_fma)
W_DEV float w_ldexp(float a, int b) { return ldexpf(a, b); }
W_DEV w_half w_ldexp(w_half a, int b) { return w_f16(ldexpf(w_f32(a), b)); }
W_MAP2(w_ldexp)

// Integers

#define W_BITS1(name, expression)                                                                  \
    W_DEV unsigned name(unsigned a) { return expression; }                                         \
    W_DEV int name(int a) { return (int)name((unsigned)a); }                                       \
    W_MAP1(name)
W_BITS1(w_countLeadingZeros, (unsigned)__clz((int)a))
W_BITS1(w_countOneBits, (unsigned)__popc(a))
W_BITS1(w_countTrailingZeros, a == 0u ? 32u : (unsigned)__ffs((int)a) - 1u)
W_BITS1(w_firstTrailingBit, (unsigned)(__ffs((int)a) - 1))
W_BITS1(w_reverseBits, __brev(a))
W_DEV unsigned w_firstLeadingBit(unsigned a) { return (unsigned)(31 - __clz((int)a)); }
W_DEV int w_firstLeadingBit(int a) { return 31 - __clz(a < 0 ? ~a : a); }
W_MAP1(w_firstLeadingBit)
W_DEV unsigned w_extractBits(unsigned a, unsigned offset, unsigned count) {
    unsigned o = w_min(offset, 32u), c = w_min(count, 32u - o);
    return c == 0u ? 0u : (a << (32u - o - c)) >> (32u - c);
}
W_DEV int w_extractBits(int a, unsigned offset, unsigned count) {
    unsigned o = w_min(offset, 32u), c = w_min(count, 32u - o);
    return c == 0u ? 0 : (int)((unsigned)a << (32u - o - c)) >> (32u - c);
}
W_DEV unsigned w_insertBits(unsigned a, unsigned b, unsigned offset, unsigned count) {
    unsigned o = w_min(offset, 32u), c = w_min(count, 32u - o);
    unsigned mask = c == 0u ? 0u : (W_ALL >> (32u - c)) << o;
    return o == 32u ? a : (a & ~mask) | ((b << o) & mask);
}
W_DEV int w_insertBits(int a, int b, unsigned offset, unsigned count) {
    return (int)w_insertBits((unsigned)a, (unsigned)b, offset, count);
}
template <class T, int N>
W_DEV w_vec<T, N> w_extractBits(w_vec<T, N> a, unsigned offset, unsigned count) {
    w_vec<T, N> r;
#pragma unroll
    for (int i = 0; i < N; i++) r[i] = w_extractBits(a[i], offset, count);
    return r;
}
template <class T, int N>
W_DEV w_vec<T, N> w_insertBits(w_vec<T, N> a, w_vec<T, N> b, unsigned offset, unsigned count) {
    w_vec<T, N> r;
#pragma unroll
    for (int i = 0; i < N; i++) r[i] = w_insertBits(a[i], b[i], offset, count);
    return r;
}

// Choice and geometry

W_DEV bool w_all(bool a) { return a; }
W_DEV bool w_any(bool a) { return a; }
template <int N> W_DEV bool w_all(w_vec<bool, N> a) {
    bool r = a[0];
#pragma unroll
    for (int i = 1; i < N; i++) r = r && a[i];
    return r;
}
template <int N> W_DEV bool w_any(w_vec<bool, N> a) {
    bool r = a[0];
#pragma unroll
    for (int i = 1; i < N; i++) r = r || a[i];
    return r;
}
template <class T> W_DEV T w_select(T no, T yes, bool which) { return which ? yes : no; }
template <class T, int N>
W_DEV w_vec<T, N> w_select(w_vec<T, N> no, w_vec<T, N> yes, w_vec<bool, N> which) {
    w_vec<T, N> r;
#pragma unroll
    for (int i = 0; i < N; i++) r[i] = which[i] ? yes[i] : no[i];
    return r;
}
W_DEV float w_length(float a) { return fabsf(a); }
W_DEV w_half w_length(w_half a) { return w_abs(a); }
template <class T, int N> W_DEV T w_length(w_vec<T, N> a) { return w_sqrt(w_dot(a, a)); }
template <class T> W_DEV auto w_distance(T a, T b) -> decltype(w_length(a)) {
    return w_length(w_sub(a, b));
}
template <class T, int N> W_DEV w_vec<T, N> w_normalize(w_vec<T, N> a) {
    return w_div(a, w_length(a));
}
template <class T> W_DEV w_vec<T, 3> w_cross(w_vec<T, 3> a, w_vec<T, 3> b) {
    return w_vec<T, 3>{w_sub(w_mul(a.y, b.z), w_mul(a.z, b.y)),
                       w_sub(w_mul(a.z, b.x), w_mul(a.x, b.z)),
                       w_sub(w_mul(a.x, b.y), w_mul(a.y, b.x))};
}
template <class T, int N> W_DEV w_vec<T, N> w_reflect(w_vec<T, N> a, w_vec<T, N> n) {
    T d = w_dot(n, a);
    return w_sub(a, w_mul(n, w_add(d, d)));
}
template <class T, int N>
W_DEV w_vec<T, N> w_faceForward(w_vec<T, N> a, w_vec<T, N> b, w_vec<T, N> c) {
    return w_f32(w_dot(b, c)) < 0.0f ? a : w_neg(a);
}
template <class T, int N> W_DEV w_vec<T, N> w_refract(w_vec<T, N> a, w_vec<T, N> n, T ratio) {
    T d = w_dot(n, a), one = w_sub(ratio, ratio);
    one = w_add(one, w_exp(one));
    T k = w_sub(one, w_mul(w_mul(ratio, ratio), w_sub(one, w_mul(d, d))));
    if (w_f32(k) < 0.0f) return w_vec<T, N>{};
    return w_sub(w_mul(a, ratio), w_mul(n, w_add(w_mul(ratio, d), w_sqrt(k))));
}
template <class T, class I> struct w_frexp_result { T fract_; I exp_; };
template <class T> struct w_modf_result { T fract_, whole_; };
W_DEV w_frexp_result<float, int> w_frexp(float a) {
    w_frexp_result<float, int> r;
    r.fract_ = frexpf(a, &r.exp_);
    return r;
}
W_DEV w_frexp_result<w_half, int> w_frexp(w_half a) {
    w_frexp_result<float, int> r = w_frexp(w_f32(a));
    return w_frexp_result<w_half, int>{w_f16(r.fract_), r.exp_};
}
template <class T, int N> W_DEV w_frexp_result<w_vec<T, N>, w_vec<int, N>> w_frexp(w_vec<T, N> a) {
    w_frexp_result<w_vec<T, N>, w_vec<int, N>> r;
#pragma unroll
    for (int i = 0; i < N; i++) {
        w_frexp_result<T, int> part = w_frexp(a[i]);
        r.fract_[i] = part.fract_;
        r.exp_[i] = part.exp_;
    }
    return r;
}
template <class T> W_DEV w_modf_result<T> w_modf(T a) {
    T whole = w_trunc(a);
    return w_modf_result<T>{w_sub(a, whole), whole};
}

// Packing

W_DEV unsigned w_pack2x16float(w_vec<float, 2> a) {
    return (unsigned)w_f16(a.x).bits | (unsigned)w_f16(a.y).bits << 16;
}
W_DEV w_vec<float, 2> w_unpack2x16float(unsigned a) {
    return w_vec<float, 2>{w_f32(w_half_of((unsigned short)a)),
                           w_f32(w_half_of((unsigned short)(a >> 16)))};
}
W_DEV unsigned w_unorm(float a, float scale) { return (unsigned)rintf(w_saturate(a) * scale); }
W_DEV int w_snorm(float a, float scale) { return (int)rintf(w_clamp(a, -1.0f, 1.0f) * scale); }
W_DEV unsigned w_pack2x16unorm(w_vec<float, 2> a) {
    return w_unorm(a.x, 65535.0f) | w_unorm(a.y, 65535.0f) << 16;
}
W_DEV unsigned w_pack2x16snorm(w_vec<float, 2> a) {
    return (w_snorm(a.x, 32767.0f) & 0xffffu) | (unsigned)w_snorm(a.y, 32767.0f) << 16;
}
W_DEV w_vec<float, 2> w_unpack2x16unorm(unsigned a) {
    return w_vec<float, 2>{(float)(a & 0xffffu) / 65535.0f, (float)(a >> 16) / 65535.0f};
}
W_DEV w_vec<float, 2> w_unpack2x16snorm(unsigned a) {
    return w_vec<float, 2>{fmaxf((float)(short)a / 32767.0f, -1.0f),
                           fmaxf((float)(short)(a >> 16) / 32767.0f, -1.0f)};
}
template <class T> W_DEV unsigned w_bytes(w_vec<T, 4> a) {
    return ((unsigned)a.x & 255u) | ((unsigned)a.y & 255u) << 8 | ((unsigned)a.z & 255u) << 16 |
           ((unsigned)a.w & 255u) << 24;
}
W_DEV unsigned w_pack4xU8(w_vec<unsigned, 4> a) { return w_bytes(a); }
W_DEV unsigned w_pack4xI8(w_vec<int, 4> a) { return w_bytes(a); }
W_DEV unsigned w_pack4xU8Clamp(w_vec<unsigned, 4> a) {
    return w_bytes(w_vec<unsigned, 4>{w_min(a.x, 255u), w_min(a.y, 255u), w_min(a.z, 255u),
                                      w_min(a.w, 255u)});
}
W_DEV unsigned w_pack4xI8Clamp(w_vec<int, 4> a) {
    return w_bytes(w_vec<int, 4>{w_clamp(a.x, -128, 127), w_clamp(a.y, -128, 127),
                                 w_clamp(a.z, -128, 127), w_clamp(a.w, -128, 127)});
}
W_DEV w_vec<unsigned, 4> w_unpack4xU8(unsigned a) {
    return w_vec<unsigned, 4>{a & 255u, a >> 8 & 255u, a >> 16 & 255u, a >> 24};
}
W_DEV w_vec<int, 4> w_unpack4xI8(unsigned a) {
    return w_vec<int, 4>{(int)(a << 24) >> 24, (int)(a << 16) >> 24, (int)(a << 8) >> 24,
                         (int)a >> 24};
}
W_DEV unsigned w_pack4x8unorm(w_vec<float, 4> a) {
    return w_bytes(w_vec<unsigned, 4>{w_unorm(a.x, 255.0f), w_unorm(a.y, 255.0f),
                                      w_unorm(a.z, 255.0f), w_unorm(a.w, 255.0f)});
}
W_DEV unsigned w_pack4x8snorm(w_vec<float, 4> a) {
    return w_bytes(w_vec<int, 4>{w_snorm(a.x, 127.0f), w_snorm(a.y, 127.0f),
                                 w_snorm(a.z, 127.0f), w_snorm(a.w, 127.0f)});
}
W_DEV w_vec<float, 4> w_unpack4x8unorm(unsigned a) {
    return w_div(w_f32(w_unpack4xU8(a)), 255.0f);
}
W_DEV w_vec<float, 4> w_unpack4x8snorm(unsigned a) {
    return w_max(w_div(w_f32(w_unpack4xI8(a)), 127.0f), w_splat<float, 4>(-1.0f));
}
W_DEV unsigned w_dot4U8Packed(unsigned a, unsigned b) {
    return w_dot(w_unpack4xU8(a), w_unpack4xU8(b));
}
W_DEV int w_dot4I8Packed(unsigned a, unsigned b) {
    return w_dot(w_unpack4xI8(a), w_unpack4xI8(b));
}

// Atomics

template <class T> W_DEV T w_atomicLoad(const w_atomic<T>* p) { return w_relaxed_load(&p->v); }
template <class T> W_DEV void w_atomicStore(w_atomic<T>* p, T a) { w_relaxed_store(&p->v, a); }
#define W_ATOMIC(name, call)                                                                       \
    template <class T> W_DEV T name(w_atomic<T>* p, T a) { return call(&p->v, a); }
W_ATOMIC(w_atomicAdd, atomicAdd)
W_ATOMIC(w_atomicSub, atomicSub)
W_ATOMIC(w_atomicMax, atomicMax)
W_ATOMIC(w_atomicMin, atomicMin)
W_ATOMIC(w_atomicAnd, atomicAnd)
W_ATOMIC(w_atomicOr, atomicOr)
W_ATOMIC(w_atomicXor, atomicXor)
W_ATOMIC(w_atomicExchange, atomicExch)
template <class T> struct w_exchange_result { T old_value_; bool exchanged_; };
template <class T>
W_DEV w_exchange_result<T> w_atomicCompareExchangeWeak(w_atomic<T>* p, T old, T a) {
    T seen = atomicCAS(&p->v, old, a);
    return w_exchange_result<T>{seen, seen == old};
}

// Barriers: what a block wrote before one, in any memory, the block sees after it.

W_DEV void w_workgroupBarrier() { __syncthreads(); }
W_DEV void w_textureBarrier() { __syncthreads(); }
W_DEV void w_storageBarrier() { __syncthreads(); }
template <class T> W_DEV T w_workgroupUniformLoad(const T* p) {
    __syncthreads();
    T r = *p;
    __syncthreads();
    return r;
}
template <class T> W_DEV T w_workgroupUniformLoad(const w_atomic<T>* p) {
    __syncthreads();
    T r = w_atomicLoad(p);
    __syncthreads();
    return r;
}
W_DEV void w_zero(void* p, unsigned words, unsigned at, unsigned step) {
    for (unsigned i = at; i < words; i += step) ((unsigned*)p)[i] = 0u;
}
