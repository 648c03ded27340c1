// Both axes of a separable window in one launch, for GPUs: {{ taps_y }} by {{ taps_x }} taps, {{ {"sum": "summed by weights", "mean": "their mean", "min": "the least", "max": "the greatest"}[fold] }}.
//
// An invocation takes {{ cells }} cell(s) of four elements of a row, and walks down a strip of rows, {{ steps }} at a
// time. It folds each row across its cells and those to the left and right that the taps reach, which
// come from the cache, and keeps the last {{ taps_y - 1 }} rows of this in registers for the height: no
// barrier, and memory reads each word once. What lies beyond an edge is put in behind the loads.
// {{ "Levels are summed as integers of 16 bits, two in a word: elements 0 and 2 of a cell, and 1 and 3." if fold == "mean" else "Sums are f32." if fold == "sum" else "Values are compared as f32." }}
// Memory: x and y are (images, rows, across) units of {{ cells }} cell(s); weights are those of the height, then
// those of the width. Limits: rows of whole units; 2^32 units.
//% set wide = true
//% set bytes = "u8x%d" % (4 * cells)
//% set flat = cells == 1
//% include "image/words.wgsl"
//% include "image/border.wgsl"

alias F = {{ "vec2<u32>" if fold == "mean" else "vec4<f32>" }};

// across: units of a row; width: pixels of a row; strip: rows of an invocation.
struct Params {
    count: u32,
    rows: u32,
    across: u32,
    width: i32,
    strip: i32,
    mode: u32,
    fill: f32,
}

@group(0) @binding(0) var<storage, read> x: array<X>;
//% if fold == "sum"
@group(0) @binding(1) var<storage, read> weights: array<f32>;
//% endif
@group(0) @binding(2) var<storage, read_write> y: array<{{ "Y" if target == "u8" or flat else "array<Y, %d>" % cells }}>;
@group(0) @binding(3) var<uniform> params: Params;

//% macro cell_of(unit, cell)
x[{{ unit }}]{{ "" if flat else "." + "xyzw"[cell] }}
//%- endmacro
// Where the four elements of a cell lie in a row, or -1 where none does.
fn places_of(cell: i32) -> vec4<i32> {
    var places = vec4<i32>();
    for (var k = 0; k < 4; k++) {
        let e = u32(4 * cell + k + {{ 4096 * channels }});
        let place = inside(i32(e / {{ channels }}u) - 4096, params.width, params.mode);
        places[k] = select(place * {{ channels }} + i32(e % {{ channels }}u), -1, place < 0);
    }
    return places;
}

fn element(line: u32, place: i32) -> f32 {
    let e = u32(max(place, 0));
//% if source == "u8"
    let v = byte_of(x[line + e / {{ 4 * cells }}u]{{ "" if flat else "[e / 4u %% %du]" % cells }}, e);
//% else
    let v = x[line + e / 4u][e % 4u];
//% endif
    return select(v, params.fill, place < 0);
}

fn elements(line: u32, places: vec4<i32>) -> F {
    let v = vec4<f32>(
        element(line, places.x), element(line, places.y), element(line, places.z), element(line, places.w),
    );
    return {{ "vec2<u32>(v.xy) | (vec2<u32>(v.zw) << vec2<u32>(16u))" if fold == "mean" else "v" }};
}

fn filled() -> F {
    return F({{ "u32(params.fill) * 0x10001u" if fold == "mean" else "params.fill" }});
}
//% if fold == "mean"

fn pairs_of(word: u32) -> F {
    return vec2<u32>(word, word >> 8u) & vec2<u32>(0xff00ffu);
}

// Sums over the number of taps n, rounded, ties upwards: 2^24 / n is rounded up by less than 1, which
// moves a sum of up to 255 n by less than the 1 / 2 n that lies between it and a tie, for n below 181.
fn averaged(sums: F) -> u32 {
    let by = vec2<u32>({{ (2**24 + taps_y * taps_x - 1) // (taps_y * taps_x) }}u);
    let half = vec2<u32>(0x800000u);
    let low = (sums & vec2<u32>(0xffffu)) * by + half;
    let high = (sums >> vec2<u32>(16u)) * by + half;
    let second = (low.y >> 16u) & 0xff00u;
    let third = (high.x >> 8u) & 0xff0000u;
    return (low.x >> 24u) | second | third | (high.y & 0xff000000u);
}
//% endif

//% macro fold_all(v, axis, values)
//% for value in values
//% if loop.first
        var {{ v }} = {{ "w%s0 * %s" % (axis, value) if fold == "sum" else value }};
//% elif fold == "mean"
        {{ v }} += {{ value }};
//% elif fold == "sum"
        {{ v }} += w{{ axis }}{{ loop.index0 }} * {{ value }};
//% else
        {{ v }} = {{ fold }}({{ v }}, {{ value }});
//% endif
//% endfor
//% endmacro
//% set first_cell, last_cell = -left, cells + right
@compute @workgroup_size(128)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let index = id.x + id.y * (65535u * 128u);
    if (index >= params.count) { return; }
    let rows = i32(params.rows);
    let down = (rows + params.strip - 1) / params.strip;
    let unit = index % params.across;
    let line_of_strips = i32(index / params.across);
    let image = line_of_strips / down;
    let first = (line_of_strips - image * down) * params.strip;
    let end = min(first + params.strip, rows);
//% if fold == "sum"
//% for t in range(taps_y)
    let wy{{ t }} = weights[{{ t }}];
//% endfor
//% for t in range(taps_x)
    let wx{{ t }} = weights[{{ taps_y + t }}];
//% endfor
//% endif
    // Cells beside the unit: where they are, or an edge's stand in for them.
    var whole = true;
//% for k in range(first_cell, last_cell)
//% if k < 0 or k >= cells
//% set n = k + left
    let side{{ n }} = i32(unit * {{ cells }}u) + {{ k }};
    let in{{ n }} = u32(side{{ n }}) < params.across * {{ cells }}u;
    let at{{ n }} = u32(clamp(i32(unit) + {{ k // cells }}, 0, i32(params.across) - 1));
    var places{{ n }} = vec4<i32>();
    if (!in{{ n }}) {
        places{{ n }} = places_of(side{{ n }});
        whole = false;
    }
//% endif
//% endfor
//% for t in range(taps_y - 1)
//% for c in range(cells)
    var r{{ t }}_{{ c }} = F();
//% endfor
//% endfor
    // The first rows only fill the registers.
    for (var row = first - {{ taps_y - 1 }}; row < end; row += {{ steps }}) {
//% for s in range(steps)
        let row{{ s }} = inside(row + {{ taps_y - 1 - origin_y + s }}, rows, params.mode);
        let line{{ s }} = u32(image * rows + max(row{{ s }}, 0)) * params.across;
//% endfor
//% for s in range(steps)
        let unit{{ s }} = x[line{{ s }} + unit];
//% for k in range(first_cell, last_cell)
//% if k < 0 or k >= cells
        let raw{{ s }}_{{ k + left }} = {{ cell_of("line%d + at%d" % (s, k + left), k % cells) }};
//% else
        let raw{{ s }}_{{ k + left }} = unit{{ s }}{{ "" if flat else "." + "xyzw"[k] }};
//% endif
//% endfor
//% endfor
//% for s in range(steps)
//% for n in range(left + cells + right)
        var v{{ s }}_{{ n }} = {{ "%s(raw%d_%d)" % ("pairs_of" if fold == "mean" else "four_of", s, n) if source == "u8" else "raw%d_%d" % (s, n) }};
//% endfor
        if (!whole) {
//% for k in range(first_cell, last_cell)
//% if k < 0 or k >= cells
//% set n = k + left
            if (!in{{ n }}) { v{{ s }}_{{ n }} = elements(line{{ s }}, places{{ n }}); }
//% endif
//% endfor
        }
        if (row{{ s }} < 0) {
//% for n in range(left + cells + right)
            v{{ s }}_{{ n }} = filled();
//% endfor
        }
//% for c in range(cells)
//% set shifts = namespace(names=[])
//% for t in range(taps_x)
//% set parts = namespace(names=[])
//% for k in range(2 if fold == "mean" else 4)
//% set e = 4 * (left + c) + k + (t - origin_x) * channels
//% if fold == "mean" and e % 4 >= 2
//% set parts.names = parts.names + ["(v%d_%d.%s >> 16u) | (v%d_%d.%s << 16u)" % (s, e // 4, "xy"[e % 2], s, e // 4 + 1, "xy"[e % 2])]
//% else
//% set parts.names = parts.names + ["v%d_%d.%s" % (s, e // 4, ("xy"[e % 2] if fold == "mean" else "xyzw"[e % 4]))]
//% endif
//% endfor
//% set shifts.names = shifts.names + ["F(%s)" % parts.names | join(", ")]
//% endfor
{{ fold_all("n%d_%d" % (s, c), "x", shifts.names) }}
//%- endfor
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
{{ fold_all("f%d_%d" % (s, c), "y", window.names) }}
//%- endfor
        if (row + {{ s }} >= first && row + {{ s }} < end) {
            let at = u32(image * rows + row + {{ s }}) * params.across + unit;
//% set made = namespace(names=[])
//% for c in range(cells)
//% set made.names = made.names + [("averaged(f%d_%d)" if fold == "mean" else "packed(f%d_%d)" if target == "u8" else "f%d_%d") % (s, c)]
//% endfor
            y[at] = {{ made.names[0] if flat else "%s(%s)" % ("Y" if target == "u8" else "array<Y, %d>" % cells, made.names | join(", ")) }};
        }
//% endfor
//% for t in range(taps_y - 1)
//% for c in range(cells)
        r{{ t }}_{{ c }} = {{ "r%d" % (t + steps) if t + steps < taps_y - 1 else "n%d" % (t + steps - taps_y + 1) }}_{{ c }};
//% endfor
//% endfor
    }
}
