// Words of four elements of each operand, for a word of the result, in the modes that
// arrays/elementwise.wgsl tells of.
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
