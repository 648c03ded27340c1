// The indices of elements that are chosen, one behind the other: `before` says how many come before
// each.
//
// Memory: flags are bytes, four to a word. Limits: 2^31 elements; a row of 65535 workgroups, then the
// next.
//% import "arrays/words.wgsl" as typed
{{ typed.head(["u8"]) }}

struct Params { count: u32 }

@group(0) @binding(0) var<storage, read> flags: array<u8x4>;
@group(0) @binding(1) var<storage, read> before: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<i32>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let e = id.x + id.y * (65535u * 64u);
    if (e >= params.count) { return; }
    if ({{ typed.at("u8", "flags", "e") }} != 0u) { y[before[e]] = i32(e); }
}
