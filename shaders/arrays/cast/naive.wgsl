// Conversion between real dtypes, and of floats to c64, four elements a word. f16 goes through packed
// words, so that devices without f16 arithmetic can store and load it all the same; i8 and u8 are
// bytes of a word, the first one the lowest.
//
// Memory: x and y are rows of four elements; the last one may reach into a buffer's padding.
// Limits: 2^34 elements. Beyond the range of f16 the result is the device's own; other floats are
// clamped, integers wrap.
//% set types = {"f32": "vec4<f32>", "i32": "vec4<i32>", "u32": "vec4<u32>", "f16": "f16x4",
    "i8": "i8x4", "u8": "u8x4", "c64": "c64x4"}
//% include "arrays/combination/each.wgsl"

alias f16x4 = vec2<u32>;
alias i8x4 = u32;
alias u8x4 = u32;
alias c64x4 = array<vec4<f32>, 2>;

struct Params { count: u32 }

@group(0) @binding(0) var<storage, read> x: array<{{ types[source] }}>;
@group(0) @binding(1) var<storage, read_write> y: array<{{ types[target] }}>;
@group(0) @binding(2) var<uniform> params: Params;

fn result(i: u32) -> {{ types[target] }} {
//% if source == "f16"
    let word = x[i];
    let v = vec4<f32>(unpack2x16float(word.x), unpack2x16float(word.y));
//% elif source == "i8"
    let v = vec4<i32>(vec4<u32>(x[i]) << vec4<u32>(24u, 16u, 8u, 0u)) >> vec4<u32>(24u);
//% elif source == "u8"
    let v = (vec4<u32>(x[i]) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(255u);
//% else
    let v = x[i];
//% endif
//% if target == "f16"
    let f = vec4<f32>(v);
    return f16x4(pack2x16float(f.xy), pack2x16float(f.zw));
//% elif target in ("i8", "u8")
//% if source in ("f16", "f32")
//% if target == "i8"
    let w = vec4<u32>(vec4<i32>(clamp(v, vec4<f32>(-128.0), vec4<f32>(127.0))));
//% else
    let w = vec4<u32>(vec4<i32>(clamp(v, vec4<f32>(0.0), vec4<f32>(255.0))));
//% endif
//% else
    let w = vec4<u32>(v);
//% endif
    let b = (w & vec4<u32>(255u)) << vec4<u32>(0u, 8u, 16u, 24u);
    return b.x | b.y | b.z | b.w;
//% elif target == "c64"
    let f = vec4<f32>(v);
    return c64x4(vec4<f32>(f.x, 0.0, f.y, 0.0), vec4<f32>(f.z, 0.0, f.w, 0.0));
//% elif target in ("i32", "u32") and source in ("f16", "f32")
    // WGSL clamps to the largest float below the range's end, which is not the last integer.
//% if target == "i32"
    let last = {{ types[target] }}(0x7fffffffi);
    return select({{ types[target] }}(v), last, v >= vec4<f32>(2147483648.0));  // sanitize: allow conversion
//% else
    let last = {{ types[target] }}(0xffffffffu);
    return select({{ types[target] }}(v), last, v >= vec4<f32>(4294967296.0));  // sanitize: allow conversion
//% endif
//% else
    return {{ types[target] }}(v);
//% endif
}
