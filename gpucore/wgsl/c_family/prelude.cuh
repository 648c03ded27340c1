// What printed kernels use: WGSL's types and built-in functions in C++.
//
// The head of a target, cuda.cuh or hip.cuh, comes before this.
// Names begin with w_, and those of a kernel end in _ or in a number: they never meet. Functions of
// vectors apply the one of scalars to each part. Types have the sizes and alignments of WGSL; a
// vector of three has no padding itself, so members and elements of arrays add it.
// Integers wrap, shifts use the low five bits of the count, division by zero returns the dividend,
// and conversions saturate, as in the WGSL specification, sections 8.7 and 15.7.6.
#define W_ALL 0xffffffffu
// Kernels with checks have it in each loop. C++ takes it that a loop without effects ends, and what
// follows from that, such as the order of numbers behind it; this is an effect, and no instruction.
#define W_TURN asm volatile("")
// The place of an invocation in its workgroup. Compilers do not know that it is 0 along an axis of one.
#define W_THREAD_X (W_X == 1u ? 0u : threadIdx.x)
#define W_THREAD_Y (W_Y == 1u ? 0u : threadIdx.y)
#define W_THREAD_Z (W_Z == 1u ? 0u : threadIdx.z)
#define W_INDEX (W_THREAD_X + W_X * (W_THREAD_Y + W_Y * W_THREAD_Z))

// Numbers of 16 bits

W_DEV w_half operator/(w_half a, w_half b) { return w_f16(w_f32(a) / w_f32(b)); }
W_DEV w_half operator-(w_half a) { return w_half_of(a.bits ^ 0x8000); }
#define W_HALF_COMPARE(sign)                                                                       \
    W_DEV bool operator sign(w_half a, w_half b) { return w_f32(a) sign w_f32(b); }
W_HALF_COMPARE(<)
W_HALF_COMPARE(>)
W_HALF_COMPARE(<=)
W_HALF_COMPARE(>=)
W_HALF_COMPARE(==)
W_HALF_COMPARE(!=)

// Vectors, arrays, matrices

template <class T, int N> struct w_vec;
template <class T> struct alignas(2 * sizeof(T)) w_vec<T, 2> {
    T x, y;
    W_DEV T& operator[](int i) { return (&x)[i]; }
    W_DEV const T& operator[](int i) const { return (&x)[i]; }
};
template <class T> struct w_vec<T, 3> {
    T x, y, z;
    W_DEV T& operator[](int i) { return (&x)[i]; }
    W_DEV const T& operator[](int i) const { return (&x)[i]; }
};
template <class T> struct alignas(4 * sizeof(T)) w_vec<T, 4> {
    T x, y, z, w;
    W_DEV T& operator[](int i) { return (&x)[i]; }
    W_DEV const T& operator[](int i) const { return (&x)[i]; }
};

template <class T> struct w_slot { T v; };
template <class T> struct alignas(4 * sizeof(T)) w_slot<w_vec<T, 3>> { w_vec<T, 3> v; };

template <class T, unsigned N> struct w_array {
    w_slot<T> e[N];
    W_DEV T& operator[](unsigned i) { return e[i].v; }
    W_DEV const T& operator[](unsigned i) const { return e[i].v; }
};
template <class T> struct w_runtime {
    w_slot<T> e[1];
    W_DEV T& operator[](unsigned i) { return ((w_slot<T>*)this)[W_AT(i)].v; }
    W_DEV const T& operator[](unsigned i) const { return ((const w_slot<T>*)this)[W_AT(i)].v; }
};
template <class T, int C, int R> struct w_mat {
    w_slot<w_vec<T, R>> c[C];
    W_DEV w_vec<T, R>& operator[](int i) { return c[i].v; }
    W_DEV const w_vec<T, R>& operator[](int i) const { return c[i].v; }
};
template <class T> struct w_atomic { T v; };

template <class T, int N> W_DEV w_vec<T, N> w_splat(T a) {
    w_vec<T, N> r;
#pragma unroll
    for (int i = 0; i < N; i++) r[i] = a;
    return r;
}
template <int... I, class T, int N> W_DEV w_vec<T, sizeof...(I)> w_swizzle(w_vec<T, N> a) {
    return w_vec<T, sizeof...(I)>{a[I]...};
}
template <class T, int N> W_DEV void w_fill(w_vec<T, N>&, int) {}
template <class T, int N, class... R> W_DEV void w_fill(w_vec<T, N>& r, int at, T a, R... rest);
template <class T, int N, int M, class... R>
W_DEV void w_fill(w_vec<T, N>& r, int at, w_vec<T, M> a, R... rest) {
#pragma unroll
    for (int i = 0; i < M; i++) r[at + i] = a[i];
    w_fill(r, at + M, rest...);
}
template <class T, int N, class... R> W_DEV void w_fill(w_vec<T, N>& r, int at, T a, R... rest) {
    r[at] = a;
    w_fill(r, at + 1, rest...);
}
template <class T, int N, class... R> W_DEV w_vec<T, N> w_join(R... parts) {
    w_vec<T, N> r;
    w_fill(r, 0, parts...);
    return r;
}

// A function of scalars, for each part of vectors

#define W_MAP1(name)                                                                               \
    template <class T, int N> W_DEV auto name(w_vec<T, N> a) -> w_vec<decltype(name(a.x)), N> {     \
        w_vec<decltype(name(a.x)), N> r;                                                           \
        _Pragma("unroll") for (int i = 0; i < N; i++) r[i] = name(a[i]);                           \
        return r;                                                                                  \
    }
#define W_MAP2(name)                                                                               \
    template <class T, class U, int N>                                                             \
    W_DEV auto name(w_vec<T, N> a, w_vec<U, N> b) -> w_vec<decltype(name(a.x, b.x)), N> {           \
        w_vec<decltype(name(a.x, b.x)), N> r;                                                      \
        _Pragma("unroll") for (int i = 0; i < N; i++) r[i] = name(a[i], b[i]);                     \
        return r;                                                                                  \
    }
#define W_MAP2_MIXED(name)                                                                         \
    W_MAP2(name)                                                                                   \
    template <class T, int N>                                                                      \
    W_DEV auto name(w_vec<T, N> a, T b) -> w_vec<decltype(name(b, b)), N> {                         \
        w_vec<decltype(name(b, b)), N> r;                                                          \
        _Pragma("unroll") for (int i = 0; i < N; i++) r[i] = name(a[i], b);                        \
        return r;                                                                                  \
    }                                                                                              \
    template <class T, int N>                                                                      \
    W_DEV auto name(T a, w_vec<T, N> b) -> w_vec<decltype(name(a, a)), N> {                         \
        w_vec<decltype(name(a, a)), N> r;                                                          \
        _Pragma("unroll") for (int i = 0; i < N; i++) r[i] = name(a, b[i]);                        \
        return r;                                                                                  \
    }
#define W_MAP3(name)                                                                               \
    template <class T, int N>                                                                      \
    W_DEV w_vec<T, N> name(w_vec<T, N> a, w_vec<T, N> b, w_vec<T, N> c) {                           \
        w_vec<T, N> r;                                                                             \
        _Pragma("unroll") for (int i = 0; i < N; i++) r[i] = name(a[i], b[i], c[i]);               \
        return r;                                                                                  \
    }

// Conversions

W_DEV int w_i32(int a) { return a; }
W_DEV int w_i32(unsigned a) { return (int)a; }
W_DEV int w_i32(bool a) { return a; }
W_DEV int w_i32(w_half a) { return w_i32(w_f32(a)); }
W_DEV unsigned w_u32(int a) { return (unsigned)a; }
W_DEV unsigned w_u32(unsigned a) { return a; }
W_DEV unsigned w_u32(bool a) { return a; }
W_DEV unsigned w_u32(w_half a) { return w_u32(w_f32(a)); }
W_DEV float w_f32(int a) { return (float)a; }
W_DEV float w_f32(unsigned a) { return (float)a; }
W_DEV float w_f32(bool a) { return a ? 1.0f : 0.0f; }
W_DEV float w_f32(float a) { return a; }
W_DEV w_half w_f16(int a) { return w_f16((float)a); }
W_DEV w_half w_f16(unsigned a) { return w_f16((float)a); }
W_DEV w_half w_f16(bool a) { return w_half_of(a ? 0x3c00 : 0); }
W_DEV w_half w_f16(w_half a) { return a; }
W_DEV bool w_bool(int a) { return a != 0; }
W_DEV bool w_bool(unsigned a) { return a != 0; }
W_DEV bool w_bool(bool a) { return a; }
W_DEV bool w_bool(float a) { return a != 0.0f; }
W_DEV bool w_bool(w_half a) { return (a.bits & 0x7fff) != 0; }
W_MAP1(w_i32)
W_MAP1(w_u32)
W_MAP1(w_f32)
W_MAP1(w_f16)
W_MAP1(w_bool)

template <class T, class S> W_DEV T w_bitcast(S a) {
    static_assert(sizeof(T) == sizeof(S), "bitcast between types of one size");
    T r;
    memcpy(&r, &a, sizeof(T));
    return r;
}

// Operators

#define W_FLOATS(name, expression)                                                                 \
    W_DEV float name(float a, float b) { return expression; }                                      \
    W_DEV w_half name(w_half a, w_half b) { return expression; }
#define W_UNSIGNED(name, expression)                                                               \
    W_DEV unsigned name(unsigned a, unsigned b) { return expression; }
#define W_SIGNED(name, expression)                                                                 \
    W_DEV int name(int a, int b) { return expression; }
W_FLOATS(w_add, a + b)
W_UNSIGNED(w_add, a + b)
W_SIGNED(w_add, (int)((unsigned)a + (unsigned)b))
W_FLOATS(w_sub, a - b)
W_UNSIGNED(w_sub, a - b)
W_SIGNED(w_sub, (int)((unsigned)a - (unsigned)b))
W_FLOATS(w_mul, a * b)
W_UNSIGNED(w_mul, a * b)
W_SIGNED(w_mul, (int)((unsigned)a * (unsigned)b))
W_FLOATS(w_div, a / b)
// A divisor of one gives what WGSL says where there is no quotient, and costs no branch; division
// and remainder have the same, so that a compiler makes both of one division.
W_DEV unsigned w_divisor(unsigned, unsigned b) { return b == 0u ? 1u : b; }
W_DEV int w_divisor(int a, int b) {
    return (b == 0) | ((b == -1) & (a == -2147483647 - 1)) ? 1 : b;
}
W_UNSIGNED(w_div, a / w_divisor(a, b))
W_SIGNED(w_div, a / w_divisor(a, b))
W_DEV float w_mod(float a, float b) { return fmodf(a, b); }
W_DEV w_half w_mod(w_half a, w_half b) { return w_f16(fmodf(w_f32(a), w_f32(b))); }
W_UNSIGNED(w_mod, a % w_divisor(a, b))
W_SIGNED(w_mod, a % w_divisor(a, b))
W_UNSIGNED(w_shl, a << (b & 31u))
W_DEV int w_shl(int a, unsigned b) { return (int)((unsigned)a << (b & 31u)); }
W_UNSIGNED(w_shr, a >> (b & 31u))
W_DEV int w_shr(int a, unsigned b) { return a >> (b & 31u); }
W_UNSIGNED(w_and, a & b)
W_SIGNED(w_and, a & b)
W_DEV bool w_and(bool a, bool b) { return a && b; }
W_UNSIGNED(w_or, a | b)
W_SIGNED(w_or, a | b)
W_DEV bool w_or(bool a, bool b) { return a || b; }
W_UNSIGNED(w_xor, a ^ b)
W_SIGNED(w_xor, a ^ b)
W_MAP2_MIXED(w_add)
W_MAP2_MIXED(w_sub)
W_MAP2_MIXED(w_mul)
W_MAP2_MIXED(w_div)
W_MAP2_MIXED(w_mod)
W_MAP2(w_shl)
W_MAP2(w_shr)
W_MAP2(w_and)
W_MAP2(w_or)
W_MAP2(w_xor)
#define W_COMPARE(name, sign)                                                                      \
    W_DEV bool name(float a, float b) { return a sign b; }                                         \
    W_DEV bool name(w_half a, w_half b) { return a sign b; }                                       \
    W_DEV bool name(int a, int b) { return a sign b; }                                             \
    W_DEV bool name(unsigned a, unsigned b) { return a sign b; }                                   \
    W_DEV bool name(bool a, bool b) { return a sign b; }                                           \
    W_MAP2(name)
W_COMPARE(w_lt, <)
W_COMPARE(w_gt, >)
W_COMPARE(w_le, <=)
W_COMPARE(w_ge, >=)
W_COMPARE(w_eq, ==)
W_COMPARE(w_ne, !=)
W_DEV float w_neg(float a) { return -a; }
W_DEV w_half w_neg(w_half a) { return -a; }
W_DEV int w_neg(int a) { return (int)(0u - (unsigned)a); }
W_DEV int w_not(int a) { return ~a; }
W_DEV unsigned w_not(unsigned a) { return ~a; }
W_DEV bool w_not(bool a) { return !a; }
W_MAP1(w_neg)
W_MAP1(w_not)

// Matrices

#define W_COLUMNS(expression)                                                                      \
    _Pragma("unroll") for (int i = 0; i < C; i++) r[i] = expression;                               \
    return r;
template <class T, int C, int R> W_DEV w_mat<T, C, R> w_add(w_mat<T, C, R> a, w_mat<T, C, R> b) {
    w_mat<T, C, R> r;
    W_COLUMNS(w_add(a[i], b[i]))
}
template <class T, int C, int R> W_DEV w_mat<T, C, R> w_sub(w_mat<T, C, R> a, w_mat<T, C, R> b) {
    w_mat<T, C, R> r;
    W_COLUMNS(w_sub(a[i], b[i]))
}
template <class T, int C, int R> W_DEV w_mat<T, C, R> w_mul(w_mat<T, C, R> a, T b) {
    w_mat<T, C, R> r;
    W_COLUMNS(w_mul(a[i], b))
}
template <class T, int C, int R> W_DEV w_mat<T, C, R> w_mul(T b, w_mat<T, C, R> a) {
    return w_mul(a, b);
}
template <class T, int C, int R> W_DEV w_mat<T, C, R> w_neg(w_mat<T, C, R> a) {
    w_mat<T, C, R> r;
    W_COLUMNS(w_neg(a[i]))
}
template <class T, int C, int R> W_DEV w_vec<T, R> w_mul(w_mat<T, C, R> a, w_vec<T, C> b) {
    w_vec<T, R> r = w_mul(a[0], b[0]);
#pragma unroll
    for (int i = 1; i < C; i++) r = w_add(r, w_mul(a[i], b[i]));
    return r;
}
template <class T, int N> W_DEV T w_dot(w_vec<T, N> a, w_vec<T, N> b) {
    T r = w_mul(a[0], b[0]);
#pragma unroll
    for (int i = 1; i < N; i++) r = w_add(r, w_mul(a[i], b[i]));
    return r;
}
template <class T, int C, int R> W_DEV w_vec<T, C> w_mul(w_vec<T, R> a, w_mat<T, C, R> b) {
    w_vec<T, C> r;
    W_COLUMNS(w_dot(a, b[i]))
}
template <class T, int K, int R, int C>
W_DEV w_mat<T, C, R> w_mul(w_mat<T, K, R> a, w_mat<T, C, K> b) {
    w_mat<T, C, R> r;
    W_COLUMNS(w_mul(a, b[i]))
}
template <class T, int C, int R> W_DEV w_mat<T, R, C> w_transpose(w_mat<T, C, R> a) {
    w_mat<T, R, C> r;
#pragma unroll
    for (int i = 0; i < R; i++)
#pragma unroll
        for (int j = 0; j < C; j++) r[i][j] = a[j][i];
    return r;
}
template <class T> W_DEV T w_determinant(w_mat<T, 2, 2> a) {
    return w_sub(w_mul(a[0][0], a[1][1]), w_mul(a[0][1], a[1][0]));
}
template <class T, int N> W_DEV T w_determinant(w_mat<T, N, N> a) {
    T r = T{};
#pragma unroll
    for (int k = 0; k < N; k++) {
        w_mat<T, N - 1, N - 1> minor;
#pragma unroll
        for (int i = 1; i < N; i++)
#pragma unroll
            for (int j = 0, at = 0; j < N; j++)
                if (j != k) minor[i - 1][at++] = a[i][j];
        T part = w_mul(a[0][k], w_determinant(minor));
        r = k % 2 ? w_sub(r, part) : w_add(r, part);
    }
    return r;
}
template <class T, int C, int R, class... P> W_DEV w_mat<T, C, R> w_columns(P... parts) {
    w_vec<T, R> all[C] = {parts...};
    w_mat<T, C, R> r;
    W_COLUMNS(all[i])
}
template <class T, int C, int R, class... P> W_DEV w_mat<T, C, R> w_numbers(P... parts) {
    T all[C * R] = {parts...};
    w_mat<T, C, R> r;
#pragma unroll
    for (int i = 0; i < C * R; i++) r[i / R][i % R] = all[i];
    return r;
}
#define W_MAT_CONVERT(name, type)                                                                  \
    template <class S, int C, int R> W_DEV w_mat<type, C, R> name(w_mat<S, C, R> a) {              \
        w_mat<type, C, R> r;                                                                       \
        W_COLUMNS(name(a[i]))                                                                      \
    }
W_MAT_CONVERT(w_f32, float)
W_MAT_CONVERT(w_f16, w_half)
