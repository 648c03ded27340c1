// Adds each element of `values`, (outer, m, inner), to the place of y, (outer, n, inner), that its row's
//% if flat
// index names, by atomic additions of integers, whose order does not matter. Of one axis, four at a time.
//% else
// index names, by atomic additions of integers, whose order does not matter.
//% endif
//
// Memory: y begins as a copy of what is added to. Limits: 2^32 elements; a row of 65535 workgroups,
// then the next.
//% include "arrays/indices.wgsl"

// size: elements of values; count: those, or words of four.
struct Params { count: u32, size: u32, n: u32, m: u32, inner: u32 }

//% if flat
@group(0) @binding(0) var<storage, read> values: array<vec4<{{ kind }}>>;
@group(0) @binding(1) var<storage, read> places: array<vec4<{{ index }}>>;
//% else
@group(0) @binding(0) var<storage, read> values: array<{{ kind }}>;
@group(0) @binding(1) var<storage, read> places: array<{{ index }}>;
//% endif
@group(0) @binding(2) var<storage, read_write> y: array<atomic<{{ kind }}>>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.x + id.y * (65535u * 64u);
    if (i >= params.count) { return; }
//% if flat
    let place = places[i];
    let value = values[i];
//% for c in range(4)
    if (4u * i + {{ c }}u < params.size) { atomicAdd(&y[clipped(place[{{ c }}], params.n)], value[{{ c }}]); }
//% endfor
//% else
    let row = i / params.inner;
    let o = row / params.m;
    let at = clipped(places[row - o * params.m], params.n);
    atomicAdd(&y[(o * params.n + at) * params.inner + i - row * params.inner], values[i]);
//% endif
}
