// Median of {{ size }} by {{ size }} pixels.
//% set n = size * size
//% if variant == "stencil" and (size == 5 or halves)
//% set joint = true
//% include "image/stencil.wgsl"
//% else
//% if variant == "stencil"
// Each column is sorted; then the median is that of the greatest of the least, the median of the middle
// ones and the least of the greatest (Smith 1996, "Implementing median filters in XC4000E FPGAs").
//% elif variant == "select"
// By forgetful selection (McGuire 2008, "A fast, small-radius GPU median filter"): of the first
// {{ n // 2 + 2 }} values the least and the greatest cannot be the median and go; the next value comes; at
// last one is left. All in registers.
//% else
// By bisection over the bits of the values: the greatest p so that at most {{ n // 2 }} values are below p.
//% endif
//% if variant == "stencil"
fn made(v: array<F, 9>) -> F {
//% for j in range(3)
    let few{{ j }} = min(v[{{ 3 + j }}], v[{{ 6 + j }}]);
    let many{{ j }} = max(v[{{ 3 + j }}], v[{{ 6 + j }}]);
    let low{{ j }} = min(v[{{ j }}], few{{ j }});
    let middle{{ j }} = max(min(v[{{ j }}], many{{ j }}), few{{ j }});
    let high{{ j }} = max(v[{{ j }}], many{{ j }});
//% endfor
    let low = max(max(low0, low1), low2);
    let middle = max(min(middle0, middle1), min(max(middle0, middle1), middle2));
    let high = min(min(high0, high1), high2);
    return max(min(low, middle), min(max(low, middle), high));
}
//% include "image/stencil.wgsl"
//% else
//% include "image/neighbours.wgsl"

struct Params { elements: u32, rows: u32, row: u32, mode: u32, fill: f32 }

@group(0) @binding(1) var<storage, read_write> y: array<Y>;
@group(0) @binding(2) var<uniform> params: Params;

//% if variant == "select"
fn sorted(v: vec2<f32>) -> vec2<f32> {
    return vec2<f32>(min(v.x, v.y), max(v.x, v.y));
}

//% macro fetch(k)
value(l{{ k // size }}, p{{ k % size }})
//%- endmacro
//% macro exchange(a, b)
    s = sorted(vec2<f32>({{ a }}, {{ b }})); {{ a }} = s.x; {{ b }} = s.y;
//% endmacro
fn element(image: u32, row: u32, column: u32) -> F {
    let place = column / CHANNELS;
    let channel = column - place * CHANNELS;
    var s = vec2<f32>();
//% for i in range(size)
    let l{{ i }} = line_at(image, i32(row) + {{ i - size // 2 }});
    let p{{ i }} = place_at(i32(place) + {{ i - size // 2 }}, channel);
//% endfor
//% set first = n // 2 + 2
//% for k in range(first)
    var v{{ k }} = {{ fetch(k) }};
//% endfor
//% for m in range(first, 2, -1)
// {{ m }} values are left, v0 .. v{{ m - 1 }}.
//% for i in range(m // 2)
{{ exchange("v%d" % i, "v%d" % (m - 1 - i)) }}
//%- endfor
//% for i in range(1, (m + 1) // 2)
{{ exchange("v0", "v%d" % i) }}
//%- endfor
//% for i in range(m // 2, m - 1)
{{ exchange("v%d" % i, "v%d" % (m - 1)) }}
//%- endfor
//% if m > 3
    v0 = {{ fetch(first + first - m) }};
//% endif
//% endfor
    return v1;
}
//% else
// Numbers in the order of the values.
fn key_of(v: f32) -> u32 {
//% if source == "u8"
    return u32(v);
//% else
    let bits = bitcast<u32>(v);
    return select(bits | 0x80000000u, ~bits, (bits & 0x80000000u) != 0u);
//% endif
}

fn element(image: u32, row: u32, column: u32) -> F {
    let place = column / CHANNELS;
    let channel = column - place * CHANNELS;
    var keys = array<u32, {{ n }}>();
    for (var i = 0; i < {{ size }}; i++) {
        let line = line_at(image, i32(row) + i - {{ size // 2 }});
        for (var j = 0; j < {{ size }}; j++) {
            let at = place_at(i32(place) + j - {{ size // 2 }}, channel);
            keys[i * {{ size }} + j] = key_of(value(line, at));
        }
    }
    var found = 0u;
//% if source == "u8"
    for (var bit = 0x80u; bit != 0u; bit >>= 1u) {
//% else
    for (var bit = 0x80000000u; bit != 0u; bit >>= 1u) {
//% endif
        let next = found | bit;
        var below = 0u;
        for (var k = 0; k < {{ n }}; k++) { below += select(0u, 1u, keys[k] < next); }
        if (below <= {{ n // 2 }}u) { found = next; }
    }
//% if source == "u8"
    return f32(found);
//% else
    return bitcast<f32>(select(~found, found & 0x7fffffffu, (found & 0x80000000u) != 0u));
//% endif
}
//% endif
//% include "image/cells.wgsl"
//% endif
//% endif
