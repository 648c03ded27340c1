// Medians of 5 by 5 pixels, as text of WGSL for `stencil.wgsl`, where `made` makes those of a row and all cells.
//
// Columns of five are sorted, four of them for two rows at once. Neighbours to the right and left share
// four columns: two sorted pairs of columns, which the next two share too. Of those twenty values only the
// middle six can be the median, the sixth of them and the fifth column's five. Pairs and the twenty are
// merged by Batcher's networks (1968, doi 10.1145/1468075.1468121), without what nothing asks for:
// per median some 75 of least and greatest, where selection from 25 takes 300.
//% set PAIR = [[0, 5], [4, 9], [4, 5], [2, 7], [2, 4], [7, 5], [1, 6], [3, 8], [3, 6], [1, 2], [3, 4], [6, 7], [8, 5]]
//% set PAIR_ORDER = [0, 1, 2, 3, 4, 6, 7, 8, 5, 9]
//% set MIDDLE = [[0, 10, "max"], [8, 18, "min"], [8, 10, ""], [4, 14, ""], [4, 8, "max"], [14, 10, "min"], [2, 12, "max"], [6, 16, "min"], [6, 12, ""], [6, 8, "max"], [12, 14, ""], [1, 11, "max"], [9, 19, "min"], [9, 11, ""], [5, 15, ""], [5, 9, "max"], [15, 11, "min"], [3, 13, "max"], [7, 17, "min"], [7, 13, ""], [7, 9, ""], [13, 15, "min"], [7, 8, ""], [9, 12, ""], [13, 14, ""]]
//% set MIDDLE_ORDER = [7, 8, 9, 12, 13, 14]
//% macro value(row, e)
v{{ row }}_{{ left + e // 4 }}.{{ "xyzw"[e % 4] }}
//%- endmacro
//% macro exchange(a, b)
    pair = vec2<f32>(min({{ a }}, {{ b }}), max({{ a }}, {{ b }})); {{ a }} = pair.x; {{ b }} = pair.y;
//% endmacro
//% macro named(e)
{{ e + 8 }}
//%- endmacro
// Columns of rows s and s + 1.
//% macro columns(s)
//% for e in range(-2 * channels, 4 * cells + 2 * channels)
//% for i in range(4)
    var a{{ s }}_{{ i }}_{{ named(e) }} = {{ value(s + 1 + i, e) }};
//% endfor
//% for i, j in [(0, 1), (2, 3), (0, 2), (1, 3), (1, 2)]
{{ exchange("a%d_%d_%s" % (s, i, named(e)), "a%d_%d_%s" % (s, j, named(e))) }}
//%- endfor
//% for t in range(2)
//% set x = value(s + 5 * t, e)
//% set a = "a%d_%%d_%s" % (s, named(e))
    let c{{ s + t }}_{{ named(e) }} = array<f32, 5>(
        min({{ a % 0 }}, {{ x }}),
//% for i in range(3)
        max({{ a % i }}, min({{ a % (i + 1) }}, {{ x }})),
//% endfor
        max({{ a % 3 }}, {{ x }}),
    );
//% endfor
//% endfor
//% endmacro
//% macro made(s)
//% if s == 0
    var pair: vec2<f32>;
//% endif
//% if s % 2 == 0
{{ columns(s) }}
//% endif
//% set done = namespace(pairs=[], fours=[])
//% for e in range(4 * cells)
//% set even = e // channels % 2 == 0
//% set first = e - channels if even else e - 2 * channels
//% for f in (first, first + 2 * channels)
//% if f not in done.pairs
//% set done.pairs = done.pairs + [f]
//% for i in range(10)
    var p{{ s }}_{{ named(f) }}_{{ i }} = c{{ s }}_{{ named(f if i < 5 else f + channels) }}[{{ i % 5 }}];
//% endfor
//% for i, j in PAIR
{{ exchange("p%d_%s_%d" % (s, named(f), i), "p%d_%s_%d" % (s, named(f), j)) }}
//%- endfor
//% endif
//% endfor
//% if first not in done.fours
//% set done.fours = done.fours + [first]
//% set q = "q%d_%s_%%d" % (s, named(first))
//% for i in range(20)
    var {{ q % i }} = p{{ s }}_{{ named(first if i < 10 else first + 2 * channels) }}_{{ PAIR_ORDER[i % 10] }};
//% endfor
//% for i, j, kind in MIDDLE
//% if kind
    {{ q % (j if kind == "max" else i) }} = {{ kind }}({{ q % i }}, {{ q % j }});
//% else
{{ exchange(q % i, q % j) }}
//%- endif
//% endfor
//% endif
//% set q = "q%d_%s_%%d" % (s, named(first))
//% set other = "c%d_%s[%%d]" % (s, named(e - 2 * channels if even else e + 2 * channels))
    let m{{ s }}_{{ e }} = min(
        min(min(max({{ q % MIDDLE_ORDER[0] }}, {{ other % 4 }}), max({{ q % MIDDLE_ORDER[1] }}, {{ other % 3 }})), max({{ q % MIDDLE_ORDER[2] }}, {{ other % 2 }})),
        min(min(max({{ q % MIDDLE_ORDER[3] }}, {{ other % 1 }}), max({{ q % MIDDLE_ORDER[4] }}, {{ other % 0 }})), {{ q % MIDDLE_ORDER[5] }}),
    );
//% endfor
//% for c in range(cells)
    let made{{ s }}_{{ c }} = F(m{{ s }}_{{ 4 * c }}, m{{ s }}_{{ 4 * c + 1 }}, m{{ s }}_{{ 4 * c + 2 }}, m{{ s }}_{{ 4 * c + 3 }});
//% endfor
//% endmacro
