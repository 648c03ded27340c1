// HIP on a processor, for tests: what a printed kernel uses, and how its grid is run.
//
// The invocations of a workgroup are fibers of one thread. A fiber runs until it comes to a barrier
// or to a function of its wave, then the next one does. When all stand, lanes of a wave that came to
// the same function exchange their values and go on; when all stand at barriers, these open.
// WAVE is the number of lanes; with ALONE no invocation waits for another. What a lane outside of the group has is 0, as on a card.
#include <cmath>
#include <csetjmp>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>
#include <tuple>
#include <ucontext.h>
#include <utility>
#include <vector>
using std::memcpy;

#define __device__
#define __forceinline__ inline
#define __global__
#define __constant__
#define __shared__
#define __align__(n) __attribute__((aligned(n)))
#define __launch_bounds__(n)

struct Extent { unsigned x, y, z; };
static Extent threadIdx, blockIdx, gridDim;

// Numbers of 16 bits, where the compiler has none

#if !defined(__clang__) && __GNUC__ < 13
struct HostHalf {
    uint16_t bits;
    HostHalf() = default;
    explicit HostHalf(float given) : bits(rounded((double)given)) {}
    explicit HostHalf(double given) : bits(rounded(given)) {}
    explicit operator float() const {
        int exponent = bits >> 10 & 31, fraction = bits & 1023;
        float size = exponent == 31 ? (fraction ? NAN : INFINITY)
                     : exponent     ? std::ldexp((float)(1024 + fraction), exponent - 25)
                                    : std::ldexp((float)fraction, -24);
        return bits & 0x8000 ? -size : size;
    }
    static uint16_t rounded(double given) {
        uint16_t sign = std::signbit(given) ? 0x8000 : 0;
        if (given != given) return 0x7e00;
        double size = std::fabs(given);
        if (size >= 65520.0) return sign | 0x7c00;
        if (size < 0x1p-14) return sign | (uint16_t)std::nearbyint(size * 0x1p24);
        int exponent;
        double fraction = std::frexp(size, &exponent);
        return sign | (uint16_t)(((exponent + 14) << 10) + (int)std::nearbyint(fraction * 2048.0) - 1024);
    }
    HostHalf operator+(HostHalf b) const { return HostHalf((float)*this + (float)b); }
    HostHalf operator-(HostHalf b) const { return HostHalf((float)*this - (float)b); }
    HostHalf operator*(HostHalf b) const { return HostHalf((float)*this * (float)b); }
};
#define _Float16 HostHalf
#define __builtin_fmaf16(a, b, c) HostHalf(std::fma((double)(float)(a), (double)(float)(b), (double)(float)(c)))
#endif

// Functions on numbers

inline int __clz(int a) { return a ? __builtin_clz((unsigned)a) : 32; }
inline int __popc(unsigned a) { return __builtin_popcount(a); }
inline int __ffs(int a) { return __builtin_ffs(a); }
inline int __ffsll(unsigned long long a) { return __builtin_ffsll((long long)a); }
inline unsigned __brev(unsigned a) {
    unsigned r = 0;
    for (int i = 0; i < 32; i++) r |= (a >> i & 1u) << (31 - i);
    return r;
}
inline float rsqrtf(float a) { return 1 / std::sqrt(a); }

// Fibers

enum Stand { READY, AT_BARRIER, IN_WAVE, ENDED };
struct Group {
    unsigned long long values[64];
    unsigned long long lanes;
};
struct Fiber {
    ucontext_t context;
    jmp_buf place;
    bool begun;
    Stand stand;
    int function;
    unsigned long long value;
    unsigned x, y, z;
};
static constexpr size_t STACK = 1 << 18;
static std::vector<Fiber> fibers;
static std::vector<Group> groups;
static unsigned current;
static jmp_buf scheduler;
static void (*entry)();

inline void pause(Stand stand) {
    fibers[current].stand = stand;
    if (!_setjmp(fibers[current].place)) _longjmp(scheduler, 1);
}
inline void begin() {
    entry();
    fibers[current].stand = ENDED;
    _longjmp(scheduler, 1);
}
inline void resume(unsigned at) {
    current = at;
    Fiber& fiber = fibers[at];
    threadIdx = {fiber.x, fiber.y, fiber.z};
    if (_setjmp(scheduler)) return;
    if (fiber.begun) _longjmp(fiber.place, 1);
    fiber.begun = true;
    setcontext(&fiber.context);
}
inline void fail(const char* what) {
    std::fprintf(stderr, "%s\n", what);
    std::abort();
}

// Lets the lanes of one wave that came to the same function exchange their values.
inline bool open_waves() {
    bool any = false;
    for (unsigned first = 0; first < fibers.size(); first += WAVE) {
        Group& group = groups[first / WAVE];
        int function = -1;
        group.lanes = 0;
        for (unsigned i = first; i < first + WAVE && i < fibers.size(); i++) {
            Fiber& fiber = fibers[i];
            if (fiber.stand != IN_WAVE || (function != -1 && fiber.function != function)) continue;
            function = fiber.function;
            group.lanes |= 1ull << (i - first);
            group.values[i - first] = fiber.value;
            fiber.stand = READY;
            any = true;
        }
    }
    return any;
}
inline void run_fibers() {
    for (;;) {
        unsigned ended = 0, waiting = 0;
        for (unsigned i = 0; i < fibers.size(); i++)
            if (fibers[i].stand == READY) resume(i);
        if (open_waves()) continue;
        for (Fiber& fiber : fibers) {
            ended += fiber.stand == ENDED;
            waiting += fiber.stand == AT_BARRIER;
        }
        if (ended == fibers.size()) return;
        if (waiting != fibers.size()) fail("not all invocations came to a barrier");
        for (Fiber& fiber : fibers) fiber.stand = READY;
    }
}
inline void make_fibers(const unsigned* block) {
    static char* stacks = (char*)mmap(nullptr, STACK * 1024, PROT_READ | PROT_WRITE,
                                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (stacks == MAP_FAILED) fail("no memory for stacks");
    fibers.resize(block[0] * block[1] * block[2]);
    groups.resize((fibers.size() + WAVE - 1) / WAVE);
    for (unsigned i = 0; i < fibers.size(); i++) {
        Fiber& fiber = fibers[i];
        fiber.begun = false;
        fiber.stand = READY;
        fiber.x = i % block[0], fiber.y = i / block[0] % block[1];
        fiber.z = i / (block[0] * block[1]);
        getcontext(&fiber.context);
        fiber.context.uc_stack.ss_sp = stacks + i * STACK;
        fiber.context.uc_stack.ss_size = STACK;
        makecontext(&fiber.context, begin, 0);
    }
}
inline void run_workgroup(const unsigned* block) {
#ifdef ALONE
    for (threadIdx.z = 0; threadIdx.z < block[2]; threadIdx.z++)
        for (threadIdx.y = 0; threadIdx.y < block[1]; threadIdx.y++)
            for (threadIdx.x = 0; threadIdx.x < block[0]; threadIdx.x++) entry();
#else
    make_fibers(block);
    run_fibers();
#endif
}

// Barriers, lanes, memory

inline void __syncthreads() { pause(AT_BARRIER); }
inline void __threadfence_block() {}
inline unsigned __lane_id() { return current % WAVE; }
inline const Group& meet(int function, unsigned long long value) {
    fibers[current].function = function;
    fibers[current].value = value;
    pause(IN_WAVE);
    return groups[current / WAVE];
}
inline unsigned long long __ballot(int a) {
    const Group& group = meet(0, a != 0);
    unsigned long long r = 0;
    for (unsigned i = 0; i < WAVE; i++)
        if (group.lanes >> i & 1) r |= group.values[i] << i;
    return r;
}
inline int __any(int a) { return __ballot(a) != 0; }
inline int __all(int a) { return __ballot(!a) == 0; }
template <class T> T from_lane(int function, T a, unsigned lane) {
    unsigned long long bits = 0;
    memcpy(&bits, &a, sizeof a);
    const Group& group = meet(function, bits);
    bits = group.lanes >> lane & 1 ? group.values[lane] : 0;
    memcpy(&a, &bits, sizeof a);
    return a;
}
template <class T> T __shfl(T a, int lane, int) { return from_lane(1, a, lane % WAVE); }
template <class T> T __shfl_xor(T a, int mask, int) {
    unsigned lane = __lane_id() ^ (unsigned)mask;
    return from_lane(2, a, lane < WAVE ? lane : __lane_id());
}
template <class T> T __shfl_up(T a, unsigned distance, int) {
    return from_lane(3, a, distance <= __lane_id() ? __lane_id() - distance : __lane_id());
}
template <class T> T __shfl_down(T a, unsigned distance, int) {
    return from_lane(4, a, distance < WAVE - __lane_id() ? __lane_id() + distance : __lane_id());
}
#define __hip_atomic_load(p, order, scope) (*(p))
#define __hip_atomic_store(p, a, order, scope) (*(p) = (a))
#define ATOMIC(name, next)                                                                         \
    template <class T> T name(T* p, T a) {                                                         \
        T old = *p;                                                                                \
        *p = next;                                                                                 \
        return old;                                                                                \
    }
ATOMIC(atomicAdd, (T)((unsigned)old + (unsigned)a))
ATOMIC(atomicSub, (T)((unsigned)old - (unsigned)a))
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

// A launch

alignas(16) unsigned char w_shared[65536];

template <class... A, size_t... I>
void call_kernel(void (*kernel)(A...), void** given, std::index_sequence<I...>) {
    kernel(*(std::remove_cv_t<A>*)given[I]...);
}
template <class... A> void run_grid(void (*kernel)(A...), void** given, const unsigned* grid, const unsigned* block) {
    static void (*the_kernel)(A...);
    static void** the_given;
    the_kernel = kernel, the_given = given;
    entry = [] { call_kernel(the_kernel, the_given, std::index_sequence_for<A...>{}); };
    gridDim = {grid[0], grid[1], grid[2]};
    for (unsigned z = 0; z < grid[2]; z++)
        for (unsigned y = 0; y < grid[1]; y++)
            for (unsigned x = 0; x < grid[0]; x++) {
                blockIdx = {x, y, z};
                run_workgroup(block);
            }
}
template <class... A> unsigned list_sizes(void (*)(A...), unsigned* found) {
    unsigned sizes[] = {(unsigned)sizeof(A)..., 0};
    for (unsigned i = 0; i < sizeof...(A); i++) found[i] = sizes[i];
    return sizeof...(A);
}
