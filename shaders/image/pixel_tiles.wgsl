//% if columns
// Body of kernels that make whole pixels from anywhere, on GPUs: four of a column by `column(image, row, place)`.
//% else
// Body of kernels that make whole pixels from anywhere, on GPUs: by `sampled(image, row, place)`.
//% endif
//
//% if columns
// A workgroup makes 32 pixels of 8 rows, a lane 4 of them, below each other.
//% else
// A workgroup makes 32 pixels of 8 rows, a lane 4 of them, 8 apart: lanes side by side read pixels of a small square.
//% endif
// Pixels go through workgroup memory, so that lanes write words side by side.
//% if target == "u8"
// Memory: x and y are rows of words of four bytes. Workgroup memory: 1 KiB.
//% else
// Memory: x and y are rows of words of four bytes. Workgroup memory: {{ channels }} KiB.
//% endif
// Limits: rows of whole words; a grid of (tiles, tiles, images).
//% include "image/words.wgsl"

//% if target == "f32"
alias f32x1 = u32;
//% endif
// Values of a pixel; `source` is {{ source }}.
//% if channels == 1
alias V = f32;
//% else
alias V = vec{{ channels }}<f32>;
//% endif
//% set per = 1 if target == "u8" else channels

@group(0) @binding(0) var<storage, read> x: array<X>;

var<workgroup> tile: array<u32, {{ 256 * per }}>;

fn pixel_at(pixel: u32) -> V {
    let e = pixel * {{ channels }}u;
//% if source == "f32"
    return V({% for k in range(channels) %}{{ ", " if k }}x[e + {{ k }}u]{% endfor %});
//% elif channels == 1
    return four_of(x[e >> 2u] >> (8u * (e & 3u))).x;
//% elif channels == 4
    return four_of(x[pixel]);
//% else
    let low = x[e >> 2u] >> (8u * (e & 3u));
    // What lies in the next word, if anything does.
    let high = (x[(e + {{ channels - 1 }}u) >> 2u] << (31u - 8u * (e & 3u))) << 1u;
    return four_of(low | high).{{ "xyzw"[:channels] }};
//% endif
}

// The words of a row of the tile, from a pixel on.
fn word(row: u32, w: u32) -> u32 {
//% if target == "f32" or channels == 4
    return tile[row * {{ 32 * per }}u + w];
//% else
    let p = row * 32u + 4u * w / {{ channels }}u;
//% if channels == 1
    return tile[p] | (tile[p + 1u] << 8u) | (tile[p + 2u] << 16u) | (tile[p + 3u] << 24u);
//% elif channels == 2
    return tile[p] | (tile[p + 1u] << 16u);
//% else
    let skip = 8u * (w % 3u);
    return (tile[p] >> skip) | (tile[p + 1u] << (24u - skip));
//% endif
//% endif
}

fn put(at: u32, v: V) {
//% if target == "u8"
//% if channels == 4
    tile[at] = packed(vec4<f32>(v));
//% elif channels == 3
    tile[at] = packed(vec4<f32>(v, 0.0));
//% elif channels == 2
    tile[at] = packed(vec4<f32>(v, 0.0, 0.0));
//% else
    tile[at] = packed(vec4<f32>(v, 0.0, 0.0, 0.0));
//% endif
//% else
//% for c in range(channels)
//% if channels == 1
    tile[at * {{ per }}u + {{ c }}u] = bitcast<u32>(v);
//% else
    tile[at * {{ per }}u + {{ c }}u] = bitcast<u32>(v{{ "." + "xyzw"[c] }});
//% endif
//% endfor
//% endif
}

//% if columns
@compute @workgroup_size(32, 2)
//% else
@compute @workgroup_size(8, 8)
//% endif
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) lane: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
//% if columns
    let place = min(group.x * 32u + lane.x, params.row / {{ channels }}u - 1u);
    let made = column(group.z, group.y * 8u + 4u * lane.y, place);
//% for s in range(4)
    put((4u * lane.y + {{ s }}u) * 32u + lane.x, made[{{ s }}]);
//% endfor
//% else
    let row = group.y * 8u + lane.y;
    for (var k = lane.x; k < 32u; k += 8u) {
        let place = group.x * 32u + k;
        if (row < params.rows && place * {{ channels }}u < params.row) {
            put(lane.y * 32u + k, sampled(group.z, row, place));
        }
    }
//% endif
    workgroupBarrier();
//% set words = 8 * channels if target == "u8" else 32 * channels
    for (var k = index; k < {{ 8 * words }}u; k += 64u) {
        let line = k / {{ words }}u;
        let w = group.x * {{ words }}u + k % {{ words }}u;
//% if target == "u8"
        if (group.y * 8u + line < params.rows && w < params.row / 4u) {
            y[(group.z * params.rows + group.y * 8u + line) * (params.row / 4u) + w] = word(line, k % {{ words }}u);
//% else
        if (group.y * 8u + line < params.rows && w < params.row / 1u) {
            y[(group.z * params.rows + group.y * 8u + line) * (params.row / 1u) + w] = word(line, k % {{ words }}u);
//% endif
        }
    }
}
