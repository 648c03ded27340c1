// Folding values to one, as text of WGSL: from the first to the last; of two that begin at an even place the
// least or greatest is taken first, as windows that overlap share it.
//% macro all(v, axis, values, first, pair="")
//% if fold in ("sum", "mean")
//% for value in values
        {{ "let %s =" % v if loop.first else "   " }} {{ "w%s%d * %s" % (axis, loop.index0, value) if fold == "sum" else value }}{{ ";" if loop.last else " +" }}
//% endfor
//% else
//% set best = pair or ("%s_of" % fold if halves else fold)
//% set made = namespace(text="")
//% for value in values
//% set even = (first + loop.index0) % 2 == 0
//% set next = value
//% if even and not loop.last
//% set next = "%s(%s, %s)" % (best, value, values[loop.index])
//% endif
//% if even or loop.first
//% set made.text = "%s(%s, %s)" % (best, made.text, next) if made.text else next
//% endif
//% endfor
        let {{ v }} = {{ made.text }};
//% endif
//% endmacro
