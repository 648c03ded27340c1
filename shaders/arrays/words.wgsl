// Words of four elements of any dtype, as storage holds them and as kernels compute with them.
//
// Memory: f32, i32, u32 and f16 are vectors of four, i8 and u8 the bytes of a u32 (the first one the
// lowest), c64 two vectors of (real, imaginary, real, imaginary), or `parts`: two numbers as four f32. f16 is computed with as f32, i8 as
// i32, u8 as u32. A wide word has 16 bytes, `quads` words of four. The last word of a buffer may reach
// into the padding that every buffer has.
//% set storage = {
    "f32": "vec4<f32>", "f16": "vec4<f16>", "i32": "vec4<i32>", "u32": "vec4<u32>",
    "i8": "i8x4", "u8": "u8x4", "c64": "c64x4", "parts": "c64x2",
}
//% set wide = {
    "f32": "vec4<f32>", "f16": "f16x8", "i32": "vec4<i32>", "u32": "vec4<u32>", "i8": "i8x16", "u8": "u8x16",
}
//% set quads = {"f32": 1, "f16": 2, "i32": 1, "u32": 1, "i8": 4, "u8": 4}
//% set value = {
    "f32": "vec4<f32>", "f16": "vec4<f32>", "i32": "vec4<i32>", "u32": "vec4<u32>",
    "i8": "vec4<i32>", "u8": "vec4<u32>", "c64": "c64x4", "parts": "vec4<f32>",
}
//% set element = {
    "f32": "f32", "f16": "f32", "i32": "i32", "u32": "u32", "i8": "i32", "u8": "u32",
    "c64": "vec2<f32>", "parts": "f32",
}
//% set family = {
    "f32": "float", "f16": "float", "i32": "signed", "i8": "signed", "u32": "unsigned",
    "u8": "unsigned", "c64": "complex", "parts": "float",
}

{# What a kernel over these dtypes opens with. #}
//% macro head(kinds)
//% if "f16" in kinds
enable f16;
//% endif

alias i8x4 = u32;
alias u8x4 = u32;
alias i8x16 = vec4<u32>;
alias u8x16 = vec4<u32>;
alias f16x8 = vec4<u32>;
alias c64x2 = vec4<f32>;
alias c64x4 = array<c64x2, 2>;

fn packed_bytes(v: vec4<u32>) -> u32 {
    let b = (v & vec4<u32>(255u)) << vec4<u32>(0u, 8u, 16u, 24u);
    return b.x | b.y | b.z | b.w;
}

fn pair_of(v: vec4<f32>, odd: u32) -> vec2<f32> {
    return select(v.xy, v.zw, odd == 1u);
}
//% endmacro

{# A stored word as a value. #}
//% macro loaded(kind, word)
//% if kind == "f16"
vec4<f32>({{ word }})
//%- elif kind == "i8"
(vec4<i32>(vec4<u32>({{ word }}) << vec4<u32>(24u, 16u, 8u, 0u)) >> vec4<u32>(24u))
//%- elif kind == "u8"
((vec4<u32>({{ word }}) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(255u))
//%- else
{{ word }}
//%- endif
//% endmacro

{# Four elements of a wide word as a value. #}
//% macro quad(kind, word, q)
//% if kind == "f16"
vec4<f32>(unpack2x16float({{ word }}[{{ 2 * q }}]), unpack2x16float({{ word }}[{{ 2 * q + 1 }}]))
//%- elif kind in ("i8", "u8")
{{ loaded(kind, word ~ "[" ~ q ~ "]") }}
//%- else
{{ word }}
//%- endif
//% endmacro

{# A value as a stored word. #}
//% macro stored(kind, value)
//% if kind == "f16"
vec4<f16>({{ value }})
//%- elif kind in ("i8", "u8")
packed_bytes(vec4<u32>({{ value }}))
//%- else
{{ value }}
//%- endif
//% endmacro

{# Element ``e`` of an array of words. #}
//% macro at(kind, array, e)
//% if kind == "f16"
f32({{ array }}[({{ e }}) >> 2u][({{ e }}) & 3u])
//%- elif kind == "i8"
(i32({{ array }}[({{ e }}) >> 2u] << (24u - 8u * (({{ e }}) & 3u))) >> 24u)
//%- elif kind == "u8"
(({{ array }}[({{ e }}) >> 2u] >> (8u * (({{ e }}) & 3u))) & 255u)
//%- elif kind == "c64"
pair_of({{ array }}[({{ e }}) >> 2u][(({{ e }}) >> 1u) & 1u], ({{ e }}) & 1u)
//%- else
{{ array }}[({{ e }}) >> 2u][({{ e }}) & 3u]
//%- endif
//% endmacro

{# Four elements as a value. #}
//% macro joined(kind, a, b, c, d)
//% if kind == "c64"
c64x4(vec4<f32>({{ a }}, {{ b }}), vec4<f32>({{ c }}, {{ d }}))
//%- else
vec4({{ a }}, {{ b }}, {{ c }}, {{ d }})
//%- endif
//% endmacro
