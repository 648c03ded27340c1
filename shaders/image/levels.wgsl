// Levels of u8 by a table of 256 for each image and channel.
// Memory: levels (images, channels, 256).

struct Params { elements: u32, rows: u32, row: u32 }

@group(0) @binding(1) var<storage, read> levels: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<Y>;
@group(0) @binding(3) var<uniform> params: Params;

fn element(image: u32, row: u32, column: u32) -> F {
    let v = load((image * params.rows + row) * params.row + column);
    return f32(levels[(image * CHANNELS + column % CHANNELS) * 256u + u32(v)]);
}
//% include "image/cells.wgsl"
