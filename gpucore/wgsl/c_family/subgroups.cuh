// WGSL's functions of subgroups, which have W_WAVE lanes; W_LANES is the mask of those present.
// A lane that is not there, or not in W_LANES, takes no part: reductions use its neutral element.

#define W_EVERY ((w_mask)~(w_mask)0)

#define W_SHUFFLE(name, call, Number)                                                              \
    W_DEV float name(float a, Number b) { return call(a, b); }                                     \
    W_DEV int name(int a, Number b) { return call(a, b); }                                         \
    W_DEV unsigned name(unsigned a, Number b) { return call(a, b); }                               \
    W_DEV w_half name(w_half a, Number b) {                                                        \
        return w_half_of((unsigned short)call((unsigned)a.bits, b));                               \
    }                                                                                              \
    template <class T, int N> W_DEV w_vec<T, N> name(w_vec<T, N> a, Number b) {                     \
        w_vec<T, N> r;                                                                             \
        _Pragma("unroll") for (int i = 0; i < N; i++) r[i] = name(a[i], b);                        \
        return r;                                                                                  \
    }
W_SHUFFLE(w_subgroupShuffle, W_SHUFFLED, unsigned)
W_SHUFFLE(w_subgroupShuffleXor, W_SHUFFLED_XOR, unsigned)
W_SHUFFLE(w_subgroupShuffleUp, W_SHUFFLED_UP, unsigned)
W_SHUFFLE(w_subgroupShuffleDown, W_SHUFFLED_DOWN, unsigned)
template <class T> W_DEV T w_subgroupBroadcast(T a, unsigned lane) {
    return w_subgroupShuffle(a, lane);
}
template <class T> W_DEV T w_subgroupBroadcastFirst(T a) {
    return w_subgroupShuffle(a, w_first(W_LANES));
}
W_DEV bool w_subgroupElect() { return w_lane() == w_first(W_LANES); }
W_DEV bool w_subgroupAll(bool a) { return W_EVERY_LANE(a); }
W_DEV bool w_subgroupAny(bool a) { return W_ANY_LANE(a); }
W_DEV w_vec<unsigned, 4> w_subgroupBallot(bool a) {
    unsigned long long r = W_BALLOT(a);
    return w_vec<unsigned, 4>{(unsigned)r, (unsigned)(r >> 32), 0u, 0u};
}
template <class T> W_DEV T w_quadBroadcast(T a, unsigned at) {
    return w_subgroupShuffle(a, (w_lane() & ~3u) + at);
}
template <class T> W_DEV T w_quadSwapX(T a) { return w_subgroupShuffleXor(a, 1u); }
template <class T> W_DEV T w_quadSwapY(T a) { return w_subgroupShuffleXor(a, 2u); }
template <class T> W_DEV T w_quadSwapDiagonal(T a) { return w_subgroupShuffleXor(a, 3u); }

// Whole subgroups exchange over distances from half of them to 1; others go lane by lane, in order.
#define W_REDUCE(name, combine)                                                                    \
    template <class T> W_DEV T name(T a) {                                                         \
        w_mask lanes = W_LANES;                                                                    \
        if (lanes == W_EVERY) {                                                                    \
            _Pragma("unroll") for (unsigned d = W_WAVE / 2u; d != 0u; d >>= 1)                     \
                a = combine(a, w_subgroupShuffleXor(a, d));                                        \
            return a;                                                                              \
        }                                                                                          \
        T r = w_subgroupShuffle(a, w_first(lanes));                                                \
        for (w_mask rest = lanes & (lanes - 1u); rest != 0u; rest &= rest - 1u)                    \
            r = combine(r, w_subgroupShuffle(a, w_first(rest)));                                   \
        return r;                                                                                  \
    }
W_REDUCE(w_subgroupAdd, w_add)
W_REDUCE(w_subgroupMul, w_mul)
W_REDUCE(w_subgroupMax, w_max)
W_REDUCE(w_subgroupMin, w_min)
W_REDUCE(w_subgroupAnd, w_and)
W_REDUCE(w_subgroupOr, w_or)
W_REDUCE(w_subgroupXor, w_xor)
#ifdef W_REDUCED  // one instruction for whole numbers
W_REDUCED(unsigned, w_subgroupAdd, __reduce_add_sync)
W_REDUCED(unsigned, w_subgroupMin, __reduce_min_sync)
W_REDUCED(unsigned, w_subgroupMax, __reduce_max_sync)
W_REDUCED(unsigned, w_subgroupAnd, __reduce_and_sync)
W_REDUCED(unsigned, w_subgroupOr, __reduce_or_sync)
W_REDUCED(unsigned, w_subgroupXor, __reduce_xor_sync)
W_REDUCED(int, w_subgroupAdd, __reduce_add_sync)
W_REDUCED(int, w_subgroupMin, __reduce_min_sync)
W_REDUCED(int, w_subgroupMax, __reduce_max_sync)
#endif

W_DEV void w_set(float& r, int a) { r = (float)a; }
W_DEV void w_set(int& r, int a) { r = a; }
W_DEV void w_set(unsigned& r, int a) { r = (unsigned)a; }
W_DEV void w_set(w_half& r, int a) { r = w_f16(a); }
template <class T, int N> W_DEV void w_set(w_vec<T, N>& r, int a) {
#pragma unroll
    for (int i = 0; i < N; i++) w_set(r[i], a);
}
#define W_SCAN(name, combine, neutral)                                                             \
    template <class T> W_DEV T w_subgroupExclusive##name(T a) {                                    \
        T r;                                                                                       \
        w_set(r, neutral);                                                                         \
        unsigned me = w_lane();                                                                    \
        if (W_LANES == W_EVERY) {                                                                  \
            T sum = a;                                                                             \
            _Pragma("unroll") for (unsigned d = 1u; d < W_WAVE; d <<= 1) {                         \
                T before = w_subgroupShuffleUp(sum, d);                                            \
                if (me >= d) sum = combine(before, sum);                                           \
            }                                                                                      \
            T before = w_subgroupShuffleUp(sum, 1u);                                               \
            return me == 0u ? r : before;                                                          \
        }                                                                                          \
        for (w_mask rest = W_LANES; rest != 0u; rest &= rest - 1u) {                               \
            unsigned lane = w_first(rest);                                                         \
            T part = w_subgroupShuffle(a, lane);                                                   \
            if (lane < me) r = combine(r, part);                                                   \
        }                                                                                          \
        return r;                                                                                  \
    }                                                                                              \
    template <class T> W_DEV T w_subgroupInclusive##name(T a) {                                    \
        return combine(w_subgroupExclusive##name(a), a);                                           \
    }
W_SCAN(Add, w_add, 0)
W_SCAN(Mul, w_mul, 1)
