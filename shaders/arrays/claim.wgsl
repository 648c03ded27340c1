// Which element of (outer, m, inner) is the last one to be put at each place of (outer, n, inner): its
// index and one, by an atomic maximum, so that the order of invocations does not matter.
//
// Memory: `claimed` begins as zeros. Limits: 2^32 - 1 elements; a row of 65535 workgroups, then the
// next.
//% include "arrays/indices.wgsl"

struct Params { count: u32, n: u32, m: u32, inner: u32 }

@group(0) @binding(0) var<storage, read> places: array<{{ index }}>;
@group(0) @binding(1) var<storage, read_write> claimed: array<atomic<u32>>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let e = id.x + id.y * (65535u * 64u);
    if (e >= params.count) { return; }
    let row = e / params.inner;
    let o = row / params.m;
    let at = (o * params.n + clipped(places[e], params.n)) * params.inner + e - row * params.inner;
    atomicMax(&claimed[at], e + 1u);
}
