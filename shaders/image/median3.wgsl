// Medians of 3 by 3 levels, two in a word, as text of WGSL for `stencil.wgsl`: `made` makes those of a row and all
// cells. Each column is sorted, its lower two for two rows at once; then the median is that of the
// greatest of the least, the median of the middle ones and the least of the greatest (Smith 1996,
// "Implementing median filters in XC4000E FPGAs").
//% macro value(name, e)
{{ name }}_{{ left + e // 4 }}{{ "xy"[e % 2] }}
//%- endmacro
// Elements e and e + 2.
//% macro both(name, e)
//% if e % 4 >= 2
({{ value(name, e) }} >> 16u) | ({{ value(name, e + 2) }} << 16u)
//% else
{{ value(name, e) }}
//% endif
//%- endmacro
//% macro made(s)
//% for n in range(left + cells + right)
//% for h in "xy"
//% set at = "%d%s" % (n, h)
//% set first = s - s % 2
//% if s % 2 == 0
    let few{{ s }}_{{ at }} = min_two(v{{ s + 1 }}_{{ n }}.{{ h }}, v{{ s + 2 }}_{{ n }}.{{ h }});
    let many{{ s }}_{{ at }} = max_two(v{{ s + 1 }}_{{ n }}.{{ h }}, v{{ s + 2 }}_{{ n }}.{{ h }});
//% endif
//% set other = "v%d_%d.%s" % (s + 2 * (s % 2), n, h)
    let low{{ s }}_{{ at }} = min_two({{ other }}, few{{ first }}_{{ at }});
    let mid{{ s }}_{{ at }} = max_two(min_two({{ other }}, many{{ first }}_{{ at }}), few{{ first }}_{{ at }});
    let high{{ s }}_{{ at }} = max_two({{ other }}, many{{ first }}_{{ at }});
//% endfor
//% endfor
//% for c in range(cells)
//% for k in range(2)
//% set to = "%d_%d%s" % (s, c, "xy"[k])
//% for t in range(3)
//% set e = 4 * c + k + (t - 1) * channels
    let l{{ t }}_{{ to }} = {{ both("low%d" % s, e) }};
    let m{{ t }}_{{ to }} = {{ both("mid%d" % s, e) }};
    let h{{ t }}_{{ to }} = {{ both("high%d" % s, e) }};
//% endfor
    let low_{{ to }} = max_two(max_two(l0_{{ to }}, l1_{{ to }}), l2_{{ to }});
    let mid_{{ to }} = max_two(min_two(m0_{{ to }}, m1_{{ to }}), min_two(max_two(m0_{{ to }}, m1_{{ to }}), m2_{{ to }}));
    let high_{{ to }} = min_two(min_two(h0_{{ to }}, h1_{{ to }}), h2_{{ to }});
    let part{{ to }} = max_two(min_two(low_{{ to }}, mid_{{ to }}), min_two(max_two(low_{{ to }}, mid_{{ to }}), high_{{ to }}));
//% endfor
    let made{{ s }}_{{ c }} = F(part{{ s }}_{{ c }}x, part{{ s }}_{{ c }}y);
//% endfor
//% endmacro
