// Cells beyond the left or right edge, element by element.

// Where the four elements of a cell lie in a row, or -1 where none does.
fn places_of(cell: i32) -> vec4<i32> {
    var places = vec4<i32>();
    for (var k = 0; k < 4; k++) {
        let e = u32(4 * cell + k + {{ 4096 * channels }});
        let place = inside(i32(e / {{ channels }}u) - 4096, params.width, params.mode);
        places[k] = select(place * {{ channels }} + i32(e % {{ channels }}u), -1, place < 0);
    }
    return places;
}

fn element(line: u32, place: i32) -> f32 {
    let e = u32(max(place, 0));
//% if source == "u8"
//% if cells == 1
    let v = byte_of(x[line + e / {{ 4 * cells }}u], e);
//% else
    let v = byte_of(x[line + e / {{ 4 * cells }}u]{{ "[e / 4u %% %du]" % cells }}, e);
//% endif
//% else
//% if cells == 1
    let v = x[line + e / 4u][e % 4u];
//% else
    let v = x[line * {{ cells }}u + e / 4u][e % 4u];
//% endif
//% endif
    return select(v, params.fill, place < 0);
}

//% if pairs
fn elements(line: u32, places: vec4<i32>) -> vec2<u32> {
//% else
fn elements(line: u32, places: vec4<i32>) -> vec4<f32> {
//% endif
    let v = vec4<f32>(
        element(line, places.x), element(line, places.y), element(line, places.z), element(line, places.w),
    );
//% if pairs
    return pairs_of(joined(vec4<u32>(v)));
//% else
    return v;
//% endif
}
