// First derivatives over 3 by 3 pixels, smoothed across by ({{ side }}, {{ middle }}, {{ side }}): {{ {"down": "along the height", "across": "along the width", "both": "the length of both together"}[along] }}.
//% if stencil
fn made(v: array<F, 9>) -> F {
    let a = v[0];
    let up = v[1];
    let b = v[2];
    let left = v[3];
    let right = v[5];
    let d = v[6];
    let below = v[7];
    let e = v[8];
//% else
//% include "image/neighbours.wgsl"

struct Params { elements: u32, rows: u32, row: u32, mode: u32, fill: f32 }

@group(0) @binding(1) var<storage, read_write> y: array<Y>;
@group(0) @binding(2) var<uniform> params: Params;

fn element(image: u32, row: u32, column: u32) -> F {
    let place = column / CHANNELS;
    let channel = column - place * CHANNELS;
//% for i in range(3)
    let l{{ i }} = line_at(image, i32(row) + {{ i - 1 }});
    let p{{ i }} = place_at(i32(place) + {{ i - 1 }}, channel);
//% endfor
    let a = value(l0, p0);
    let up = value(l0, p1);
    let b = value(l0, p2);
    let left = value(l1, p0);
    let right = value(l1, p2);
    let d = value(l2, p0);
    let below = value(l2, p1);
    let e = value(l2, p2);
//% endif
//% if along != "across"
    let down = {{ side }}.0 * ((d - a) + (e - b)) + {{ middle }}.0 * (below - up);
//% endif
//% if along != "down"
    let across = {{ side }}.0 * ((b - a) + (e - d)) + {{ middle }}.0 * (right - left);
//% endif
//% if along == "both"
    return sqrt(down * down + across * across);
//% else
    return {{ along }};
//% endif
}
//% include ("image/stencil.wgsl" if stencil else "image/cells.wgsl")
