// Body of kernels that make whole pixels from anywhere, on GPUs: {{ "four of a column by `column(image, row, place)`" if columns else "by `sampled(image, row, place)`" }}.
//
// A workgroup makes 32 pixels of 8 rows, a lane 4 of them, {{ "below each other" if columns else "8 apart: lanes side by side read pixels of a small square" }}.
// Pixels go through workgroup memory, so that lanes write words side by side.
// Memory: x and y are rows of words of four bytes. Workgroup memory: {{ 1 if target == "u8" else channels }} KiB.
// Limits: rows of whole words; a grid of (tiles, tiles, images).
//% include "image/words.wgsl"

//% if target == "f32"
alias f32x1 = u32;
//% endif
// Values of a pixel; `source` is {{ source }}.
alias V = {{ "f32" if channels == 1 else "vec%d<f32>" % channels }};
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
    tile[at] = packed(vec4<f32>({{ "v" if channels == 4 else "v, 0.0" if channels == 3 else "v, 0.0, 0.0" if channels == 2 else "v, 0.0, 0.0, 0.0" }}));
//% else
//% for c in range(channels)
    tile[at * {{ per }}u + {{ c }}u] = bitcast<u32>(v{{ "" if channels == 1 else "." + "xyzw"[c] }});
//% endfor
//% endif
}

@compute @workgroup_size({{ "32, 2" if columns else "8, 8" }})
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
        if (group.y * 8u + line < params.rows && w < params.row / {{ 4 if target == "u8" else 1 }}u) {
            y[(group.z * params.rows + group.y * 8u + line) * (params.row / {{ 4 if target == "u8" else 1 }}u) + w] = word(line, k % {{ words }}u);
        }
    }
}
