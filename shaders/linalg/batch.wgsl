// The starts of the matrices of a batch, for each of `views`; included by kernels over gpustd.linalg.views.
//
// Memory: element (i, j) of a view is at start + i * row + j * column, plus a step an axis of the batch;
// all in 32-bit words that wrap round, so that steps may be negative. Limits: 2^32 elements.
//% macro fields()
    batch: u32,
//% for axis in range(rank)
    extent{{ axis }}: u32,
//% for name in views
    {{ name }}_step{{ axis }}: u32,
//% endfor
//% endfor
//% for name in views
    {{ name }}_start: u32,
    {{ name }}_row: u32,
    {{ name }}_column: u32,
//% endfor
//% endmacro
//% macro starts()

//% for name in views
fn {{ name }}_first(index: u32) -> u32 {
    var at = params.{{ name }}_start;
    var rest = index;
//% for axis in range(rank - 1, 0, -1)
    at += rest % params.extent{{ axis }} * params.{{ name }}_step{{ axis }};
    rest /= params.extent{{ axis }};
//% endfor
    return at + rest * params.{{ name }}_step0;
}

//% endfor
//% endmacro
