//% if index == "i32"
// Places along an axis of extent n: negative ones count from its end, and those beyond it are clipped to it.
//% else
// Places along an axis of extent n: those beyond it are clipped to it.
//% endif

fn clipped(raw: {{ index }}, n: u32) -> u32 {
//% if index == "i32"
    let from_end = select(raw, raw + i32(n), raw < 0);
    return u32(clamp(from_end, 0, i32(n) - 1));
//% else
    return min(raw, n - 1u);
//% endif
}
