// Where share i of an axis of `size` begins, cut into `parts`: floor((i size + more) / parts).
//
// Memory: none.
//% if wide
// Limits: more < parts, i <= parts; extents up to 2^26.
//% else
// Limits: more < parts, i <= parts; (i + 1) size + parts up to 2^32.
//% endif
fn share_of(i: u32, size: u32, parts: u32, more: u32) -> u32 {
//% if wide
    // The float errs by at most 7 2^-24 of 2^26, then by one. What it misses is found modulo 2^32:
    // it is less than 31 parts, which an i32 holds.
    let near = u32(f32(i) * (f32(size) / f32(parts)));
    let rest = i32(i * size + more - near * parts);
    let one = i32(parts);
    return u32(i32(near) + select(rest / one, -((one - 1 - rest) / one), rest < 0));
//% else
    return (i * size + more) / parts;
//% endif
}
