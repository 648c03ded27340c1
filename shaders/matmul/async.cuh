// Words of sm_80 that C++ has none for, each as a function: copies that go on by themselves (cp.async),
// blocks of matrices between shared memory and registers, products of a warp (mma.sync).
//
// Source: NVIDIA, PTX ISA, the chapters on cp.async, ldmatrix and mma.
typedef unsigned int u32;
typedef unsigned long long u64;
typedef unsigned short u16;

#define INLINE __device__ __forceinline__

INLINE u32 shared_address(const void* p) { return (u32)__cvta_generic_to_shared(p); }

// Begin to copy 16 bytes to shared memory; zeros where they are not there.
INLINE void copy_word(u32 to, const void* from, bool is_there) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" :: "r"(to), "l"(from), "r"(is_there ? 16 : 0) : "memory");
}
INLINE void copies_end() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Wait until no more than so many groups of copies are on their way.
template <int PENDING> INLINE void copies_wait() {
    asm volatile("cp.async.wait_group %0;" :: "n"(PENDING) : "memory");
}
// Four blocks of 8 x 8 numbers; a lane names a row.
INLINE void load_blocks(u32 (&v)[4], u32 from) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 { %0, %1, %2, %3}, [%4];"
                 : "=r"(v[0]), "=r"(v[1]), "=r"(v[2]), "=r"(v[3]) : "r"(from) : "memory");
}
INLINE void load_blocks_transposed(u32 (&v)[4], u32 from) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 { %0, %1, %2, %3}, [%4];"
                 : "=r"(v[0]), "=r"(v[1]), "=r"(v[2]), "=r"(v[3]) : "r"(from) : "memory");
}
// c += a b of 16 x 8 x 16.
INLINE void multiply(float (&c)[4], const u32 (&a)[4], const u32 (&b)[2]) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 { %0, %1, %2, %3}, { %4, %5, %6, %7}, { %8, %9},"
                 " { %0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
// Pairs of f16 in a word.
INLINE u32 packed(float low, float high) {
    u32 pair;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    return pair;
}
// Eight numbers at a multiple of 16 bytes.
INLINE void read_eight(float (&v)[8], const float* from) {
    const float4 low = *(const float4*)from, high = *(const float4*)(from + 4);
    v[0] = low.x;
    v[1] = low.y;
    v[2] = low.z;
    v[3] = low.w;
    v[4] = high.x;
    v[5] = high.y;
    v[6] = high.z;
    v[7] = high.w;
}
// Eight f16.
union Halves {
    uint4 words;
    u16 numbers[8];
    INLINE float number(int i) const {
        float found;
        asm("cvt.f32.f16 %0, %1;" : "=f"(found) : "h"(numbers[i]));
        return found;
    }
};
