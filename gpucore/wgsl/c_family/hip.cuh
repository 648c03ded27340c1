// What HIP says in words of its own, by hiprtc's built-in header: it comes before prelude.cuh.
#define W_DEV __device__ __forceinline__

struct w_half {
    unsigned short bits;
};
W_DEV w_half w_half_of(unsigned short bits) { w_half r; r.bits = bits; return r; }
W_DEV _Float16 w_number(w_half a) { return __builtin_bit_cast(_Float16, a.bits); }
W_DEV w_half w_stored(_Float16 a) { return w_half_of(__builtin_bit_cast(unsigned short, a)); }
W_DEV float w_f32(w_half a) { return (float)w_number(a); }
W_DEV w_half w_f16(float a) { return w_stored((_Float16)a); }
W_DEV w_half operator+(w_half a, w_half b) { return w_stored(w_number(a) + w_number(b)); }
W_DEV w_half operator-(w_half a, w_half b) { return w_stored(w_number(a) - w_number(b)); }
W_DEV w_half operator*(w_half a, w_half b) { return w_stored(w_number(a) * w_number(b)); }
W_DEV w_half w_fma(w_half a, w_half b, w_half c) {
    return w_stored(__builtin_fmaf16(w_number(a), w_number(b), w_number(c)));
}

#define W_AT(index) (index)

// Conversions that saturate: C++ leaves them open, whatever the card does. NaN becomes 0.

W_DEV int w_i32(float a) {
    int r = a >= 2147483648.0f ? 2147483647 : a < -2147483648.0f ? -2147483647 - 1 : (int)a;
    return a != a ? 0 : r;
}
W_DEV unsigned w_u32(float a) {
    return !(a > 0.0f) ? 0u : a >= 4294967296.0f ? 0xffffffffu : (unsigned)a;
}

// Memory that other invocations change

template <class T> W_DEV T w_relaxed_load(const T* p) {
    return __hip_atomic_load(p, __ATOMIC_RELAXED, __HIP_MEMORY_SCOPE_AGENT);
}
template <class T> W_DEV void w_relaxed_store(T* p, T a) {
    __hip_atomic_store(p, a, __ATOMIC_RELAXED, __HIP_MEMORY_SCOPE_AGENT);
}

#define W_INDEX_BY_SUBGROUP W_INDEX

// Lanes of a wave, of which the card has W_WAVE: those that run take part without being named

#define W_ACTIVE ((w_mask)__ballot(1))
#define W_SHUFFLED(a, lane) __shfl(a, (int)(lane), (int)W_WAVE)
#define W_SHUFFLED_XOR(a, mask) __shfl_xor(a, (int)(mask), (int)W_WAVE)
#define W_SHUFFLED_UP(a, distance) __shfl_up(a, distance, (int)W_WAVE)
#define W_SHUFFLED_DOWN(a, distance) __shfl_down(a, distance, (int)W_WAVE)
#define W_EVERY_LANE(a) __all(a)
#define W_ANY_LANE(a) __any(a)
#define W_BALLOT(a) ((w_mask)__ballot(a))
#if W_WAVE == 64
using w_mask = unsigned long long;
#else
using w_mask = unsigned;
#endif
W_DEV unsigned w_first(w_mask lanes) { return (unsigned)__ffsll((unsigned long long)lanes) - 1u; }
W_DEV unsigned w_lane() { return (unsigned)__lane_id(); }
