// Macros over the {{ depth }} words of a lane at the workgroup's pixels p, p + rows, ... of its place `at`: all loads
// first, so that they are under way together; a pixel past the end repeats the last one and is left
// out later.

//% macro loads(source, pitch, unit, p)
        let last = (at.first + at.pixels - 1u) * {{ pitch }} + {{ unit }};
        let base = (at.first + {{ p }}) * {{ pitch }} + {{ unit }};
//% for k in range(depth)
        w{{ k }} = {{ source }}[min(base + {{ k }}u * at.rows * {{ pitch }}, last)];
//% endfor
//% endmacro
//% macro declared()
//% for k in range(depth)
    var w{{ k }} = W();
//% endfor
//% endmacro
//% macro loaded(p)
//% if two
    if (at.unit >= params.units1) {
        let units2 = params.units - params.units1;
{{ loads("x2", "units2", "(at.unit - params.units1)", p) }}
    } else {
{{ loads("x", "params.units1", "at.unit", p) }}
    }
//% else
    {
{{ loads("x", "params.units1", "at.unit", p) }}
    }
//% endif
//% endmacro
//% macro measured(p, words)
//% for k in range(depth)
    if (has(at, {{ p }} + {{ k }}u * at.rows)) {
        m = with_word(m, w{{ k }}, shift, 1.0 / ({{ words }} + {{ k + 1 }}.0));
    }
//% endfor
//% endmacro
//% macro written(p)
    {
        let base = (at.first + {{ p }}) * params.units + at.unit;
//% for k in range(depth)
        if (has(at, {{ p }} + {{ k }}u * at.rows)) {
            y[base + {{ k }}u * at.rows * params.units] = normal(w{{ k }}, line);
        }
//% endfor
    }
//% endmacro
