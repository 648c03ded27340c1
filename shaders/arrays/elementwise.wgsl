// The operator {{ op }} on arrays and numbers, broadcast as NumPy does; a word of four elements of
// the result at a time. Each operand is read in its own mode: `flat` as the result lies, `number`
// from the uniform, `single` an array of one element; over the merged axes of the result, `row` has
// words along the last axis, `column` one element for all of it, and `each` takes any four elements
// by themselves, where the last axis is no multiple of four.
//
// Memory: see arrays/words.wgsl; extents and strides of `row` count words along the last axis.
//% import "arrays/words.wgsl" as typed
//% set kind = kinds.split()
//% set mode = modes.split()
//% set count = mode | length
//% set strided = ("row", "column", "each")
//% set exponential = (
    "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sinh", "cosh", "tanh", "asinh",
    "acosh", "atanh", "power",
)
{{ typed.head(kind) }}
//% include "arrays/combination/each.wgsl"
//% include "arrays/operators.wgsl"

struct Params {
    count: u32,
    last: u32,
//% include "arrays/operands/fields.wgsl"
}

//% set place = namespace(next=0)
//% for k in range(count)
//% if mode[k] != "number"
@group(0) @binding({{ place.next }}) var<storage, read> x{{ k }}: array<{{ typed.storage[kind[k]] }}>;
//% set place.next = place.next + 1
//% endif
//% endfor
@group(0) @binding({{ place.next }}) var<storage, read_write> y: array<{{ typed.storage[kind[-1]] }}>;
@group(0) @binding({{ place.next + 1 }}) var<uniform> params: Params;

//% include "arrays/operands/reads.wgsl"

fn result(i: u32) -> {{ typed.storage[kind[-1]] }} {
//% set calls = ("operand0(i)", "operand1(i)", "operand2(i)")
    let v = apply({{ calls[:count] | join(", ") }});
    return {{ typed.stored(kind[-1], "v") }};
}
