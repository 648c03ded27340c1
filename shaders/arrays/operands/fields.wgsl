// Fields of Params for operands in their modes (reads.wgsl): the result's merged extents, numbers, and
// the strides of operands that are read along the axes.
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
