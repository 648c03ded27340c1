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
//% for axis in range(rank)
    extent{{ axis }}: u32,
//% endfor
//% for k in range(count)
//% if mode[k] == "number"
    number{{ k }}: {{ typed.element[kind[k]] }},
//% elif mode[k] in strided
//% for axis in range(rank)
    stride{{ k }}_{{ axis }}: u32,
//% endfor
//% endif
//% endfor
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

//% for k in range(count)
//% if mode[k] in strided
// Where operand {{ k }} has what the result has at an index.
fn place{{ k }}(index: u32) -> u32 {
    var rest = index;
    var at = 0u;
//% for axis in range(rank - 1, 0, -1)
    at += rest % params.extent{{ axis }} * params.stride{{ k }}_{{ axis }};
    rest /= params.extent{{ axis }};
//% endfor
    return at + rest * params.stride{{ k }}_0;
}

//% endif
fn operand{{ k }}(i: u32) -> {{ typed.value[kind[k]] }} {
//% if mode[k] == "flat"
    return {{ typed.loaded(kind[k], "x%d[i]" % k) }};
//% elif mode[k] == "row"
    let word = x{{ k }}[place{{ k }}(i)];
    return {{ typed.loaded(kind[k], "word") }};
//% elif mode[k] == "each"
    let a = place{{ k }}(4u * i);
//% for j in range(1, 4)
    let {{ "abcd"[j] }} = place{{ k }}(min(4u * i + {{ j }}u, params.last));
//% endfor
    return {{ typed.joined(kind[k], typed.at(kind[k], "x%d" % k, "a"), typed.at(kind[k], "x%d" % k, "b"), typed.at(kind[k], "x%d" % k, "c"), typed.at(kind[k], "x%d" % k, "d")) }};
//% else
//% set source = {"number": "params.number%d" % k, "single": typed.at(kind[k], "x%d" % k, "0u")}
//% if mode[k] == "column"
    let at = place{{ k }}(i);
    let v = {{ typed.at(kind[k], "x%d" % k, "at") }};
//% else
    let v = {{ source[mode[k]] }};
//% endif
    return {{ typed.joined(kind[k], "v", "v", "v", "v") }};
//% endif
}

//% endfor
fn result(i: u32) -> {{ typed.storage[kind[-1]] }} {
//% set calls = ("operand0(i)", "operand1(i)", "operand2(i)")
    let v = apply({{ calls[:count] | join(", ") }});
    return {{ typed.stored(kind[-1], "v") }};
}
