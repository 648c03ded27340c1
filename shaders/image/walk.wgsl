// WGSL text that all walks down a strip of rows share: `steps` rows of `cells` cells at a time, n0_c and
// further, the last rows of the time before in r0_c and further.
//% import "image/fold.wgsl" as fold_of with context
//% macro weighted()
//% if fold == "sum"
//% for t in range(taps_y)
    let wy{{ t }} = weights[{{ t }}];
//% endfor
//% for t in range(taps_x)
    let wx{{ t }} = weights[{{ taps_y + t }}];
//% endfor
//% endif
//% endmacro
//% macro kept()
//% for t in range(taps_y - 1)
//% for c in range(cells)
    var r{{ t }}_{{ c }} = F();
//% endfor
//% endfor
//% endmacro
//% macro placed()
        let source = row + {{ taps_y - 1 - origin_y }};
//% for s in range(steps)
        var row{{ s }} = source + {{ s }};
//% endfor
        if (source < 0 || source + {{ steps }} > rows) {
//% for s in range(steps)
            row{{ s }} = inside(row{{ s }}, rows, params.mode);
//% endfor
        }
//% endmacro
//% macro filled(s, values)
//% if constant
        if (row{{ s }} < 0) {
//% for value in values
//% if pairs
            {{ value }} = pairs_of(u32(params.fill) * 0x1010101u);
//% else
            {{ value }} = F(params.fill);
//% endif
//% endfor
        }
//% endif
//% endmacro
//% macro down(v, s)
//% set names = namespace(rows=[])
//% for t in range(taps_y - 1)
//% set names.rows = names.rows + ["r%d" % t]
//% endfor
//% for t in range(s + 1)
//% set names.rows = names.rows + ["n%d" % t]
//% endfor
//% for c in range(cells)
//% set window = namespace(names=[])
//% for name in names.rows[-taps_y:]
//% set window.names = window.names + ["%s_%d" % (name, c)]
//% endfor
{{ fold_of.all("%s%d_%d" % (v, s, c), "y", window.names, s) }}
//%- endfor
//% endmacro
//% macro result(s)
//% set made = namespace(names=[])
//% for c in range(cells)
//% set made.names = made.names + [("word_of(f%d_%d)" if pairs else "packed(f%d_%d)" if target == "u8" else "f%d_%d") % (s, c)]
//% endfor
//% if flat
{{ made.names[0] }}
//% else
{{ "Y" if target == "u8" else "array<Y, %d>" % cells }}({{ made.names | join(", ") }})
//% endif
//%- endmacro
//% macro handed_on()
//% for t in range(taps_y - 1)
//% for c in range(cells)
//% if t + steps < taps_y - 1
        r{{ t }}_{{ c }} = r{{ t + steps }}_{{ c }};
//% else
        r{{ t }}_{{ c }} = n{{ t + steps - taps_y + 1 }}_{{ c }};
//% endif
//% endfor
//% endfor
//% endmacro
