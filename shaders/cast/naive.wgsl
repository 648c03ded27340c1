// Conversion between f16, f32, i32 and u32, four elements an invocation. f16 goes through packed
// words, so that devices without f16 arithmetic can store and load it all the same.
//
// Memory: x and y are rows of four elements; the last one may reach into a buffer's padding.
// Limits: 2^34 elements. Beyond the target's range the result is the device's own.
//% set words = {"f32": "vec4<f32>", "i32": "vec4<i32>", "u32": "vec4<u32>", "f16": "f16x4"}

alias f16x4 = vec2<u32>;

const WORKGROUP = 64u;

struct Params { count: u32 }

@group(0) @binding(0) var<storage, read> x: array<{{ words[source] }}>;
@group(0) @binding(1) var<storage, read_write> y: array<{{ words[target] }}>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.x + id.y * (65535u * WORKGROUP);
    if (i >= params.count) { return; }
//% if source == "f16"
    let word = x[i];
    let v = vec4<f32>(unpack2x16float(word.x), unpack2x16float(word.y));
//% else
    let v = x[i];
//% endif
//% if target == "f16"
    let f = vec4<f32>(v);
    y[i] = f16x4(pack2x16float(f.xy), pack2x16float(f.zw));
//% else
    y[i] = {{ words[target] }}(v);
//% endif
}
