// The index inside an axis of n elements for one beyond it, by mode: 0 reflect (b a | a b), 1 mirror
// (c b | a b), 2 nearest (a a | a b), 3 wrap (a b | a b), 4 constant: -1. It may be at any distance.

fn inside(i: i32, n: i32, mode: u32) -> i32 {
    if (u32(i) < u32(n)) { return i; }
    if (mode == 4u) { return -1; }
    if (mode == 2u) { return clamp(i, 0, n - 1); }
    var period = n;
    if (mode == 0u) { period = 2 * n; }
    if (mode == 1u) { period = max(2 * n - 2, 1); }
    // OpenGL leaves the remainder of negative numbers undefined.
    var m = max(i, 0) % period;
    if (i < 0) { m = period - 1 - (-1 - i) % period; }
    if (m < n) { return m; }
    return select(2 * n - 2, 2 * n - 1, mode == 0u) - m;
}
