// Two arrays of one shape, element by element: y = a {{ operator }} b, in f32.
//% include "elementwise/flat.wgsl"
//% include "elementwise/each.wgsl"

struct Params { count: u32 }

@group(0) @binding(0) var<storage, read> a: array<W>;
@group(0) @binding(1) var<storage, read> b: array<W>;
@group(0) @binding(2) var<storage, read_write> y: array<W>;
@group(0) @binding(3) var<uniform> params: Params;

fn result(i: u32) -> W {
    return W(F(a[i]) {{ operator }} F(b[i]));
}
