// Reading the pixels round a place, beyond the edge by the border's mode: the element at the sum of
// a line's start and of a place in it, or the fill where one of them is outside.
//% include "image/border.wgsl"

const OUTSIDE = 0xffffffffu;

fn line_at(image: u32, row: i32) -> u32 {
    let r = inside(row, i32(params.rows), params.mode);
    return select((image * params.rows + u32(r)) * params.row, OUTSIDE, r < 0);
}

fn place_at(column: i32, channel: u32) -> u32 {
    let c = inside(column, i32(params.row / CHANNELS), params.mode);
    return select(u32(c) * CHANNELS + channel, OUTSIDE, c < 0);
}

fn value(line: u32, place: u32) -> f32 {
    if (max(line, place) == OUTSIDE) { return params.fill; }
    return load(line + place);
}
