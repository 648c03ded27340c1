// Copies a value into selected elements of an array: an index of the selection is taken apart into
// coordinates. The strides of y put them together from `start` on, those of `value` (`read`) from 0.
// Strides of y may be negative (u32 wraps), those of the value 0 (an axis repeated).
//
// Memory: both are rows of single elements; extents from the outermost axis.
// Limits: 2^32 - 2^11 elements; a row of 65535 workgroups, then the next.
//% if kind == "f16"
enable f16;
//% endif

alias c64x1 = vec2<f32>;
//% set element = {"c64": "c64x1"}.get(kind, kind)

struct Params {
    count: u32,
    start: u32,
//% for axis in range(rank)
    extent{{ axis }}: u32,
    stride{{ axis }}: u32,
    read{{ axis }}: u32,
//% endfor
}

@group(0) @binding(0) var<storage, read> value: array<{{ element }}>;
@group(0) @binding(1) var<storage, read_write> y: array<{{ element }}>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.x + id.y * (65535u * 64u);
    if (i >= params.count) { return; }
    var rest = i;
    var at = params.start;
    var from_value = 0u;
//% for axis in range(rank - 1, -1, -1)
//% if axis
    let c{{ axis }} = rest % params.extent{{ axis }};
    rest /= params.extent{{ axis }};
//% else
    let c0 = rest;
//% endif
    at += c{{ axis }} * params.stride{{ axis }};
    from_value += c{{ axis }} * params.read{{ axis }};
//% endfor
    y[at] = value[from_value];
}
