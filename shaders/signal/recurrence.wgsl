// The recurrence of a cascade of filters as macros: its coefficients and states in registers, the step
// of one sample, and what becomes of the states at a block's end. See sections.wgsl.

//% macro begin(sections, order, started, inner)
//% for s in range(sections)
//% set first = s * (2 * order + 1)
//% for i in range(order + 1)
    let b{{ s }}_{{ i }} = coefficients[{{ first + i }}];
//% endfor
//% for i in range(1, order + 1)
    let a{{ s }}_{{ i }} = coefficients[{{ first + order + i }}];
//% endfor
//% for i in range(1, order + 1)
//% if started
    var s{{ s }}_{{ i }} = starts[state_of({{ s }}u, {{ i - 1 }}u, params.blocks, block, outer, {{ inner }})];
//% else
    var s{{ s }}_{{ i }} = W();
//% endif
//% endfor
//% endfor
//% endmacro

//% macro step(sections, order)
//% for s in range(sections)
        let v{{ s + 1 }} = b{{ s }}_0 * v{{ s }} + s{{ s }}_1;
//% for i in range(1, order)
        s{{ s }}_{{ i }} = b{{ s }}_{{ i }} * v{{ s }} + s{{ s }}_{{ i + 1 }} - a{{ s }}_{{ i }} * v{{ s + 1 }};
//% endfor
        s{{ s }}_{{ order }} = b{{ s }}_{{ order }} * v{{ s }} - a{{ s }}_{{ order }} * v{{ s + 1 }};
//% endfor
//% endmacro

//% macro finish(sections, order, filtered, inner)
//% for s in range(sections)
//% for i in range(1, order + 1)
//% if filtered
        ends[state_of({{ s }}u, {{ i - 1 }}u, 1u, 0u, outer, {{ inner }})] = s{{ s }}_{{ i }};
//% else
        ends[state_of({{ s }}u, {{ i - 1 }}u, params.blocks, block, outer, {{ inner }})] = s{{ s }}_{{ i }};
//% endif
//% endfor
//% endfor
//% endmacro
