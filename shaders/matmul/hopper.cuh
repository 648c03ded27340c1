// Words of sm_90a that C++ has none for, each as a function: barriers in shared memory, bulk tensor
// copies, products of a warpgroup (wgmma), clusters, and launches that begin before the last one ends.
//
// Source: NVIDIA, PTX ISA, the chapters on mbarrier, cp.async.bulk.tensor, wgmma and griddepcontrol.
typedef unsigned int u32;
typedef unsigned long long u64;
typedef unsigned short u16;

struct alignas(64) TensorMap { u64 words[16]; };

#define INLINE __device__ __forceinline__

INLINE u32 shared_address(const void* p) { return (u32)__cvta_generic_to_shared(p); }

// A barrier counts arrivals and bytes. Its phases alternate between parity 0 and 1.
INLINE void barrier_init(u32 barrier, u32 arrivals) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" :: "r"(barrier), "r"(arrivals) : "memory");
}
INLINE void barriers_ready() { asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); }
INLINE void barrier_expect(u32 barrier, u32 bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" :: "r"(barrier), "r"(bytes) : "memory");
}
INLINE void barrier_arrive(u32 barrier) {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" :: "r"(barrier) : "memory");
}
INLINE void barrier_wait(u32 barrier, u32 parity) {
    u32 is_done;
    do {
        asm volatile("{ .reg .pred p;\n"
                     "mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\n"
                     "selp.u32 %0, 1, 0, p; }"
                     : "=r"(is_done) : "r"(barrier), "r"(parity) : "memory");
    } while (!is_done);
}
// A barrier of so many threads of a block, by number.
INLINE void threads_meet(int number, int threads) {
    asm volatile("bar.sync %0, %1;" :: "r"(number), "r"(threads) : "memory");
}
INLINE void threads_arrive(int number, int threads) {
    asm volatile("bar.arrive %0, %1;" :: "r"(number), "r"(threads) : "memory");
}

// The blocks of a cluster.
INLINE void cluster_arrive() { asm volatile("barrier.cluster.arrive.release;" ::: "memory"); }
INLINE void cluster_wait() { asm volatile("barrier.cluster.wait.acquire;" ::: "memory"); }
INLINE u32 cluster_rank() {
    u32 rank;
    asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
    return rank;
}
INLINE u32 address_in(u32 address, u32 rank) {
    u32 found;
    asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(found) : "r"(address), "r"(rank));
    return found;
}
INLINE void store_in_cluster(u32 to, float a, float b, float c, float d) {
    asm volatile("st.shared::cluster.v4.f32 [%0], { %1, %2, %3, %4};"
                 :: "r"(to), "f"(a), "f"(b), "f"(c), "f"(d) : "memory");
}

// The launch ahead may still run: memory that it writes must not be touched before the wait.
INLINE void let_next_start() { asm volatile("griddepcontrol.launch_dependents;" ::: "memory"); }
INLINE void wait_for_launch_ahead() { asm volatile("griddepcontrol.wait;" ::: "memory"); }

// Copies of a box from a tensor map to shared memory; a barrier counts their bytes.
INLINE void prefetch_map(const TensorMap* map) {
    asm volatile("prefetch.tensormap [%0];" :: "l"(map) : "memory");
}
INLINE void copy_2d(u32 to, const TensorMap* map, u32 barrier, int x, int y) {
    asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes"
                 " [%0], [%1, { %3, %4}], [%2];"
                 :: "r"(to), "l"(map), "r"(barrier), "r"(x), "r"(y) : "memory");
}
INLINE void copy_4d(u32 to, const TensorMap* map, u32 barrier, int x, int y, int z, int w) {
    asm volatile("cp.async.bulk.tensor.4d.shared::cluster.global.mbarrier::complete_tx::bytes"
                 " [%0], [%1, { %3, %4, %5, %6}], [%2];"
                 :: "r"(to), "l"(map), "r"(barrier), "r"(x), "r"(y), "r"(z), "r"(w) : "memory");
}
// Pixels one after the other from place (x, y) of an image, each (right, down) of its place.
INLINE void copy_pixels(u32 to, const TensorMap* map, u32 barrier, int channel, int x, int y, int image, u16 right, u16 down) {
    asm volatile("cp.async.bulk.tensor.4d.shared::cluster.global.im2col.mbarrier::complete_tx::bytes"
                 " [%0], [%1, { %3, %4, %5, %6}], [%2], { %7, %8};"
                 :: "r"(to), "l"(map), "r"(barrier), "r"(channel), "r"(x), "r"(y), "r"(image), "h"(right), "h"(down) : "memory");
}
// Memory on its way to the L2 cache. What is written later is seen all the same.
INLINE void prefetch_2d(const TensorMap* map, int x, int y) {
    asm volatile("cp.async.bulk.prefetch.tensor.2d.L2.global [%0, { %1, %2}];" :: "l"(map), "r"(x), "r"(y) : "memory");
}

// A warpgroup's products read shared memory through descriptors: address, distances of blocks, and the
// swizzle (1: rows of 128 bytes, 2: of 64).
INLINE u64 descriptor(u32 address, u32 leading, u32 stride, u32 swizzle) {
    return (u64)((address & 0x3ffff) >> 4) | (u64)(leading >> 4) << 16 | (u64)(stride >> 4) << 32 | (u64)swizzle << 62;
}
INLINE void products_begin() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
INLINE void products_end() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int PENDING> INLINE void products_wait() {
    asm volatile("wgmma.wait_group.sync.aligned %0;" :: "n"(PENDING) : "memory");
}
template <int COUNT> INLINE void take_registers() {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" :: "n"(COUNT));
}
template <int COUNT> INLINE void give_registers() {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" :: "n"(COUNT));
}
//% macro product(name, n, a_in_registers, b_transposed)
//% set count = n // 2
// c += a b of 64 x {{ n }} x 16; c = a b where `adds` is 0.
//% if a_in_registers
INLINE void {{ name }}(float (&c)[{{ count }}], const u32 (&a)[4], u64 b, int adds) {
//% set left = "{ %" ~ count ~ ", %" ~ (count + 1) ~ ", %" ~ (count + 2) ~ ", %" ~ (count + 3) ~ "}"
//% set after = count + 4
//% set flags = "1, 1, " ~ (b_transposed | int)
//% else
INLINE void {{ name }}(float (&c)[{{ count }}], u64 a, u64 b, int adds) {
//% set left = "%" ~ count
//% set after = count + 1
//% set flags = "1, 1, 0, " ~ (b_transposed | int)
//% endif
    asm volatile("{ .reg .pred p;\n"
                 "setp.ne.b32 p, %{{ after + 1 }}, 0;\n"
                 "wgmma.mma_async.sync.aligned.m64n{{ n }}k16.f32.f16.f16 { "
                 "%0"
//% for i in range(1, count)
                 ", %{{ i }}"
//% endfor
                 "}, {{ left }}, %{{ after }}, p, {{ flags }}; }"
                 : "+f"(c[0])
//% for i in range(1, count)
                 , "+f"(c[{{ i }}])
//% endfor
//% if a_in_registers
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(adds));
//% else
                 : "l"(a), "l"(b), "r"(adds));
//% endif
}
//% endmacro

// Pairs of f16 in a word.
INLINE u32 packed(float low, float high) {
    u32 pair;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    return pair;
}
INLINE float2 unpacked(u32 pair) {
    float2 found;
    asm("{ .reg .f16 low, high;\n"
        "mov.b32 { low, high}, %2;\n"
        "cvt.f32.f16 %0, low;\n"
        "cvt.f32.f16 %1, high; }" : "=f"(found.x), "=f"(found.y) : "r"(pair));
    return found;
}
// Four blocks of 8 x 8 numbers between shared memory and the registers of a warp.
INLINE void store_blocks(u32 to, u32 a, u32 b, u32 c, u32 d) {
    asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], { %1, %2, %3, %4};"
                 :: "r"(to), "r"(a), "r"(b), "r"(c), "r"(d) : "memory");
}
INLINE uint4 load_blocks(u32 from) {
    uint4 v;
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 { %0, %1, %2, %3}, [%4];"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "r"(from) : "memory");
    return v;
}
INLINE uint4 shared_words(u32 from) {
    uint4 v;
    asm volatile("ld.shared.v4.u32 { %0, %1, %2, %3}, [%4];"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "r"(from) : "memory");
    return v;
}
INLINE void store_words(u32 to, uint4 v) {
    asm volatile("st.shared.v4.u32 [%0], { %1, %2, %3, %4};" :: "r"(to), "r"(v.x), "r"(v.y), "r"(v.z), "r"(v.w) : "memory");
}
INLINE float4 shared_numbers(u32 from) {
    float4 v;
    asm volatile("ld.shared.v4.f32 { %0, %1, %2, %3}, [%4];"
                 : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w) : "r"(from) : "memory");
    return v;
}
// Loads that stay where they are written, behind the wait for the launch ahead.
INLINE u32 global_word(const void* from) {
    u32 v;
    asm volatile("ld.global.u32 %0, [%1];" : "=r"(v) : "l"(from) : "memory");
    return v;
}
INLINE float2 global_numbers(const void* from) {
    float2 v;
    asm volatile("ld.global.v2.f32 { %0, %1}, [%2];" : "=f"(v.x), "=f"(v.y) : "l"(from) : "memory");
    return v;
}
INLINE uint4 global_words(const void* from) {
    uint4 v;
    asm volatile("ld.global.v4.u32 { %0, %1, %2, %3}, [%4];"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "l"(from) : "memory");
    return v;
}
