//% if right
// Where each of v would go in the rising array a, by bisection, behind its equals. Keys are compared, so
//% else
// Where each of v would go in the rising array a, by bisection, before its equals. Keys are compared, so
//% endif
// that NaN comes last.
//
// Memory: a has n numbers, v and y count. Limits: 2^31 numbers; a row of 65535 workgroups, then the next.
//% import "arrays/keys.wgsl" as keys
{{ keys.of({"f32": "float", "i32": "signed", "u32": "unsigned"}[kind], kind, "u32", true) }}

struct Params { count: u32, n: u32 }

@group(0) @binding(0) var<storage, read> a: array<{{ kind }}>;
@group(0) @binding(1) var<storage, read> v: array<{{ kind }}>;
@group(0) @binding(2) var<storage, read_write> y: array<i32>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.x + id.y * (65535u * 64u);
    if (i >= params.count) { return; }
    let sought = key_of(v[i]);
    var low = 0u;
    var high = params.n;
    while (low < high) {
        let middle = (low + high) / 2u;
//% if right
        if (key_of(a[middle]) <= sought) { low = middle + 1u; } else { high = middle; }
//% else
        if (key_of(a[middle]) < sought) { low = middle + 1u; } else { high = middle; }
//% endif
    }
    y[i] = i32(low);
}
