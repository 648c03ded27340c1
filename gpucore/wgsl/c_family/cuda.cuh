// What CUDA says in words of its own: it comes before prelude.cuh.
#define W_DEV __device__ __forceinline__

struct w_half {
    unsigned short bits;
};
W_DEV w_half w_half_of(unsigned short bits) { w_half r; r.bits = bits; return r; }
W_DEV float w_f32(w_half a) { float r; asm("cvt.f32.f16 %0, %1;" : "=f"(r) : "h"(a.bits)); return r; }
W_DEV w_half w_f16(float a) {
    w_half r;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(r.bits) : "f"(a));
    return r;
}
#define W_HALF(name, text)                                                                         \
    W_DEV w_half name(w_half a, w_half b) {                                                        \
        w_half r;                                                                                  \
        asm(text " %0, %1, %2;" : "=h"(r.bits) : "h"(a.bits), "h"(b.bits));                        \
        return r;                                                                                  \
    }
W_HALF(operator+, "add.rn.f16")
W_HALF(operator-, "sub.rn.f16")
W_HALF(operator*, "mul.rn.f16")
W_DEV w_half w_fma(w_half a, w_half b, w_half c) {
    w_half r;
    asm("fma.rn.f16 %0, %1, %2, %3;" : "=h"(r.bits) : "h"(a.bits), "h"(b.bits), "h"(c.bits));
    return r;
}

#define W_HALF_PAIRS
#if __CUDA_ARCH__ >= 800
#define W_ORDERED_HALF_PAIRS
#endif

// As accurate as WGSL asks for, as division is with --prec-div=false: CUDA's own take several times as long.
// WGSL's pow(a, b) is exp2(b * log2(a)).
#define W_EXP __expf
#define W_LOG __logf
#define W_POW __powf

// An index into a buffer, which has at most 2^31 bytes. Of a signed one the compiler moves what is
// added to it into the instruction that loads; of an unsigned one it may not, since it wraps.
#define W_AT(index) ((int)(index))

// Conversions that saturate, and memory that other invocations change

W_DEV int w_i32(float a) { return __float2int_rz(a); }
W_DEV unsigned w_u32(float a) { return __float2uint_rz(a); }
template <class T> W_DEV T w_relaxed_load(const T* p) { return *(const volatile T*)p; }
template <class T> W_DEV void w_relaxed_store(T* p, T a) { *(volatile T*)p = a; }

// The index in a workgroup of whole warps. The compiler knows that lane 0 has the warp's number for all, so
// that a branch by it needs no care for lanes that went elsewhere at each function of a subgroup behind it.
#define W_INDEX_BY_SUBGROUP                                                                        \
    (__shfl_sync(0xffffffffu, W_INDEX / W_WAVE, 0) * W_WAVE | W_INDEX % W_WAVE)

// Lanes of a warp: W_LANES is the mask of those that call a function together

#define W_ACTIVE __activemask()
#define W_SHUFFLED(a, lane) __shfl_sync(W_LANES, a, lane)
#define W_SHUFFLED_XOR(a, mask) __shfl_xor_sync(W_LANES, a, mask)
#define W_SHUFFLED_UP(a, distance) __shfl_up_sync(W_LANES, a, distance)
#define W_SHUFFLED_DOWN(a, distance) __shfl_down_sync(W_LANES, a, distance)
#define W_EVERY_LANE(a) __all_sync(W_LANES, a)
#define W_ANY_LANE(a) __any_sync(W_LANES, a)
#define W_BALLOT(a) __ballot_sync(W_LANES, a)
using w_mask = unsigned;
#if __CUDA_ARCH__ >= 800
#define W_REDUCED(Number, name, call)                                                              \
    W_DEV Number name(Number a) { return call(W_LANES, a); }
#endif
W_DEV unsigned w_first(w_mask lanes) { return (unsigned)__ffs((int)lanes) - 1u; }
W_DEV unsigned w_lane() {
    unsigned r;
    asm("mov.u32 %0, %%laneid;" : "=r"(r));
    return r;
}
