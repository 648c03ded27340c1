// Matrices of 16 x 16 that the 32 lanes of a warp share, on the tensor cores' mma.sync (sm_80).
//
// A lane has the parts that mma.m16n8k16 asks for: "left" is its A, "right" two of its B side by
// side, "result" two of its C. Words of 32 bits have two numbers next to each other in a row of
// the left matrix, and one below the other in the right one. Offsets and strides count elements of
// the memory, which may be words of several numbers.

template <class S> struct w_left { unsigned r[4]; };
template <class S> struct w_right { unsigned r[4]; };
template <class S> struct w_result { S r[8]; };

W_DEV const w_half* w_halves(const void* p) { return (const w_half*)p; }
W_DEV unsigned w_pair(w_half a, w_half b) { return (unsigned)a.bits | (unsigned)b.bits << 16; }
W_DEV unsigned w_word(const w_half* p) { return *(const unsigned*)p; }

// Four matrices of 8 x 8 from shared memory; lane i gives the address of row i % 8 of matrix i / 8.
W_DEV void w_ldmatrix(unsigned (&r)[4], const void* row) {
    unsigned at = (unsigned)__cvta_generic_to_shared(row);
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(at) : "memory");
}
W_DEV void w_ldmatrix_turned(unsigned (&r)[4], const void* row) {
    unsigned at = (unsigned)__cvta_generic_to_shared(row);
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(at) : "memory");
}

// `p` is the memory at the offset, `pitch` the halves from one row (or column) to the next.
// SHARED says that rows of shared memory begin at multiples of 16 bytes.
template <bool SHARED, bool TURNED> W_DEV void w_load(w_left<w_half>& m, const w_half* p, unsigned pitch) {
    unsigned lane = w_lane();
    if (SHARED && !TURNED) {
        w_ldmatrix(m.r, p + (lane & 15u) * pitch + (lane >> 4) * 8u);
    } else if (SHARED) {
        w_ldmatrix_turned(m.r, p + ((lane & 7u) + (lane >> 4) * 8u) * pitch + (lane >> 3 & 1u) * 8u);
    } else {
        unsigned row = lane >> 2, column = (lane & 3u) * 2u;
#pragma unroll
        for (unsigned i = 0; i < 4; i++) {
            unsigned y = row + (i & 1u) * 8u, x = column + (i >> 1) * 8u;
            m.r[i] = TURNED ? w_pair(p[x * pitch + y], p[(x + 1u) * pitch + y])
                            : w_pair(p[y * pitch + x], p[y * pitch + x + 1u]);
        }
    }
}
template <bool SHARED, bool TURNED> W_DEV void w_load(w_right<w_half>& m, const w_half* p, unsigned pitch) {
    unsigned lane = w_lane();
    if (SHARED && !TURNED) {
        w_ldmatrix_turned(m.r, p + (lane & 15u) * pitch + (lane >> 4) * 8u);
    } else if (SHARED) {
        w_ldmatrix(m.r, p + ((lane & 7u) + (lane >> 4) * 8u) * pitch + (lane >> 3 & 1u) * 8u);
    } else {
        unsigned column = lane >> 2, row = (lane & 3u) * 2u;
#pragma unroll
        for (unsigned i = 0; i < 4; i++) {
            unsigned x = column + (i >> 1) * 8u, y = row + (i & 1u) * 8u;
            m.r[i] = TURNED ? w_pair(p[x * pitch + y], p[x * pitch + y + 1u])
                            : w_pair(p[y * pitch + x], p[(y + 1u) * pitch + x]);
        }
    }
}
W_DEV unsigned w_result_row(unsigned i) { return (w_lane() >> 2) + (i >> 1 & 1u) * 8u; }
W_DEV unsigned w_result_column(unsigned i) { return (w_lane() & 3u) * 2u + (i >> 2) * 8u + (i & 1u); }
template <bool SHARED, bool TURNED, class S> W_DEV void w_load(w_result<S>& m, const S* p, unsigned pitch) {
#pragma unroll
    for (unsigned i = 0; i < 8; i++) {
        unsigned y = w_result_row(i), x = w_result_column(i);
        m.r[i] = TURNED ? p[x * pitch + y] : p[y * pitch + x];
    }
}
template <bool TURNED, class S> W_DEV void w_store(const w_result<S>& m, S* p, unsigned pitch) {
#pragma unroll
    for (unsigned i = 0; i < 8; i++) {
        unsigned y = w_result_row(i), x = w_result_column(i);
        p[TURNED ? x * pitch + y : y * pitch + x] = m.r[i];
    }
}
W_DEV void w_mma(float (&c)[8], const unsigned (&a)[4], const unsigned (&b)[4]) {
#pragma unroll
    for (int i = 0; i < 2; i++)
        asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
            "{%8, %9}, {%0, %1, %2, %3};"
            : "+f"(c[4 * i]), "+f"(c[4 * i + 1]), "+f"(c[4 * i + 2]), "+f"(c[4 * i + 3])
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[2 * i]), "r"(b[2 * i + 1]));
}
W_DEV void w_mma(w_half (&c)[8], const unsigned (&a)[4], const unsigned (&b)[4]) {
#pragma unroll
    for (int i = 0; i < 2; i++) {
        unsigned low = w_pair(c[4 * i], c[4 * i + 1]), high = w_pair(c[4 * i + 2], c[4 * i + 3]);
        asm("mma.sync.aligned.m16n8k16.row.col.f16.f16.f16.f16 {%0, %1}, {%2, %3, %4, %5}, "
            "{%6, %7}, {%0, %1};"
            : "+r"(low), "+r"(high)
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[2 * i]), "r"(b[2 * i + 1]));
        c[4 * i] = w_half_of((unsigned short)low);
        c[4 * i + 1] = w_half_of((unsigned short)(low >> 16));
        c[4 * i + 2] = w_half_of((unsigned short)high);
        c[4 * i + 3] = w_half_of((unsigned short)(high >> 16));
    }
}
template <class S>
W_DEV w_result<S> w_multiply(const w_left<w_half>& a, const w_right<w_half>& b, w_result<S> c) {
    w_mma(c.r, a.r, b.r);
    return c;
}
template <class M, bool SHARED, bool TURNED, class P> W_DEV M w_loaded(P p, unsigned pitch) {
    M m;
    w_load<SHARED, TURNED>(m, p, pitch);
    return m;
}
