// Macros over the {{ depth }} words of a lane at pixels p, p + rows, ... of its place `at`: all loads first, so
// that they are under way together; a pixel past the end repeats the last one and is left out later.

//% macro loads(source, pitch, unit)
        let stride = at.rows * {{ pitch }};
        let last = (at.image + params.pixels - 1u) * {{ pitch }} + {{ unit }};
        let base = (at.image + p) * {{ pitch }} + {{ unit }};
//% for k in range(depth)
        w{{ k }} = {{ source }}[min(base + {{ k }}u * stride, last)];
//% endfor
//% endmacro
//% macro loaded()
//% for k in range(depth)
    var w{{ k }} = W();
//% endfor
//% if two
    if (at.unit >= params.units1) {
        let units2 = params.units - params.units1;
{{ loads("x2", "units2", "(at.unit - params.units1)") }}
    } else {
{{ loads("x", "params.units1", "at.unit") }}
    }
//% else
    {
{{ loads("x", "params.units1", "at.unit") }}
    }
//% endif
//% endmacro
//% macro measured(words)
//% for k in range(depth)
    if (p + {{ k }}u * at.rows < at.end) {
        m = with_word(m, 1.0 / ({{ words }} + {{ k + 1 }}.0), w{{ k }}, shift);
    }
//% endfor
//% endmacro
//% macro written()
    let base = (at.image + p) * params.units + at.unit;
//% for k in range(depth)
    if (p + {{ k }}u * at.rows < at.end) {
        y[base + {{ k }}u * at.rows * params.units] = normal(w{{ k }}, line);
    }
//% endfor
//% endmacro
