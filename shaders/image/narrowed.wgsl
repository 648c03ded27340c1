// Resizing along the width, whole pixels at once, for GPUs: place p of the result is the sum of `taps`
// neighbours from starts[p] on, with weights made by the host in float64. A weight is loaded once for
// four rows.
//% if source == "u8"
// Four neighbours are read as words and shifted into place; weights of taps beyond the last are zero.
//% else
//
//% endif
// Memory: weights (taps, places).
//% set columns = true

// x_rows, x_row: rows of an image of the source, pixels of its row; last: its last word.
struct Params { rows: u32, row: u32, x_rows: u32, x_row: u32, taps: u32, last: u32 }

@group(0) @binding(1) var<storage, read> starts: array<u32>;
@group(0) @binding(2) var<storage, read> weights: array<f32>;
//% if target == "f32"
@group(0) @binding(3) var<storage, read_write> y: array<f32x1>;
//% else
@group(0) @binding(3) var<storage, read_write> y: array<Y>;
//% endif
@group(0) @binding(4) var<uniform> params: Params;
//% if source == "u8"

// Levels of four pixels, from a byte on.
fn four_pixels(e: u32) -> array<V, 4> {
    let at = e >> 2u;
    let skip = 8u * (e & 3u);
    let w0 = x[at];
//% for n in range(channels)
    let w{{ n + 1 }} = x[min(at + {{ n + 1 }}u, params.last)];
    let v{{ n }} = four_of((w{{ n }} >> skip) | ((w{{ n + 1 }} << (31u - skip)) << 1u));
//% endfor
//% set made = namespace(names=[])
//% for p in range(4)
//% set parts = namespace(names=[])
//% for c in range(channels)
//% set parts.names = parts.names + ["v%d.%s" % ((p * channels + c) // 4, "xyzw"[(p * channels + c) % 4])]
//% endfor
//% set made.names = made.names + ["V(%s)" % parts.names | join(", ")]
//% endfor
    return array<V, 4>({{ made.names | join(", ") }});
}
//% endif

fn column(image: u32, row: u32, place: u32) -> array<V, 4> {
    let places = params.row / {{ channels }}u;
    let start = starts[place];
    var made = array<V, 4>();
//% for s in range(4)
    var at{{ s }} = (image * params.x_rows + min(row + {{ s }}u, params.rows - 1u)) * params.x_row + start;
//% endfor
//% if source == "u8"
    for (var k = 0u; k < params.taps; k += 4u) {
//% for t in range(4)
        let w{{ t }} = weights[(k + {{ t }}u) * places + place];
//% endfor
//% for s in range(4)
        let v{{ s }} = four_pixels(at{{ s }} * {{ channels }}u);
//% endfor
//% for s in range(4)
//% for t in range(4)
        made[{{ s }}] += w{{ t }} * v{{ s }}[{{ t }}];
//% endfor
        at{{ s }} += 4u;
//% endfor
    }
//% else
    for (var k = 0u; k < params.taps; k++) {
        let w = weights[k * places + place];
//% for s in range(4)
        made[{{ s }}] += w * pixel_at(at{{ s }});
        at{{ s }} += 1u;
//% endfor
    }
//% endif
    return made;
}
//% include "image/pixel_tiles.wgsl"
