// Rows with a 1 at the place of their id.
// Memory: ids is (rows), y (rows, classes). Limits: those of arrays/combination/flat.wgsl.
//% include "arrays/combination/flat.wgsl"
//% include "arrays/combination/each.wgsl"

struct Params { count: u32, classes: u32 }

@group(0) @binding(0) var<storage, read> ids: array<i32>;
@group(0) @binding(1) var<storage, read_write> y: array<W>;
@group(0) @binding(2) var<uniform> params: Params;

fn result(index: u32) -> W {
    let row = index / params.classes;
    return select(0.0, 1.0, u32(ids[row]) == index - row * params.classes);
}
