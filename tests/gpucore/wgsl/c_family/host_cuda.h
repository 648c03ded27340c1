// What a printed kernel needs of CUDA, for a processor: one invocation at a time, no subgroups.
#include <cmath>
#include <cstdio>
#include <cstring>
using std::memcpy;
#define __device__
#define __forceinline__ inline
#define __global__
#define __constant__
#define __shared__
#define __align__(n)
#define __launch_bounds__(n)
#define __grid_constant__
struct Extent { unsigned x, y, z; };
static Extent threadIdx, blockIdx, gridDim;
inline int __clz(int a) { return a ? __builtin_clz((unsigned)a) : 32; }
inline int __popc(unsigned a) { return __builtin_popcount(a); }
inline int __ffs(int a) { return __builtin_ffs(a); }
inline unsigned __brev(unsigned a) {
    unsigned r = 0;
    for (int i = 0; i < 32; i++) r |= (a >> i & 1u) << (31 - i);
    return r;
}
inline int __float2int_rz(float a) {
    if (a != a) return 0;
    return a >= 2147483648.0f ? 2147483647 : a <= -2147483648.0f ? -2147483647 - 1 : (int)a;
}
inline unsigned __float2uint_rz(float a) {
    return !(a > 0) ? 0u : a >= 4294967296.0f ? 0xffffffffu : (unsigned)a;
}
inline float rsqrtf(float a) { return 1 / std::sqrt(a); }
inline void __syncthreads() {}
inline void __threadfence_block() {}
#define ATOMIC(name, next)                                                                         \
    template <class T> T name(T* p, T a) {                                                         \
        T old = *p;                                                                                \
        *p = next;                                                                                 \
        return old;                                                                                \
    }
ATOMIC(atomicAdd, old + a)
ATOMIC(atomicSub, old - a)
ATOMIC(atomicMax, old > a ? old : a)
ATOMIC(atomicMin, old < a ? old : a)
ATOMIC(atomicAnd, old & a)
ATOMIC(atomicOr, old | a)
ATOMIC(atomicXor, old ^ a)
ATOMIC(atomicExch, a)
template <class T> T atomicCAS(T* p, T expected, T a) {
    T old = *p;
    if (old == expected) *p = a;
    return old;
}
