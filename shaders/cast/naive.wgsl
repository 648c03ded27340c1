// Conversion between f16, f32, i32 and u32, four elements a word. f16 goes through packed
// words, so that devices without f16 arithmetic can store and load it all the same.
//
// Memory: x and y are rows of four elements; the last one may reach into a buffer's padding.
// Limits: 2^34 elements. Beyond the target's range the result is the device's own.
//% set types = {"f32": "vec4<f32>", "i32": "vec4<i32>", "u32": "vec4<u32>", "f16": "f16x4"}
//% include "elementwise/each.wgsl"

alias f16x4 = vec2<u32>;

struct Params { count: u32 }

@group(0) @binding(0) var<storage, read> x: array<{{ types[source] }}>;
@group(0) @binding(1) var<storage, read_write> y: array<{{ types[target] }}>;
@group(0) @binding(2) var<uniform> params: Params;

fn result(i: u32) -> {{ types[target] }} {
//% if source == "f16"
    let word = x[i];
    let v = vec4<f32>(unpack2x16float(word.x), unpack2x16float(word.y));
//% else
    let v = x[i];
//% endif
//% if target == "f16"
    let f = vec4<f32>(v);
    return f16x4(pack2x16float(f.xy), pack2x16float(f.zw));
//% else
    return {{ types[target] }}(v);
//% endif
}
