// Both axes of a separable window in one launch, for GPUs: {{ taps_y }} by {{ taps_x }} taps, {{ {"sum": "summed by weights", "min": "the least", "max": "the greatest"}[fold] }}.
//
// A workgroup takes {{ out }} words of a row, and so many to the left and right as the width's taps
// reach, and walks down a strip of rows. A lane keeps the last {{ taps_y - 1 }} rows of its word in registers, so
// that each word is read once for the height; the height's results go through workgroup memory to
// the lanes beside for the width. Two rows a step, in turn in two halves: one barrier a step.
// Memory: x and y are (images, rows, row) in words of four elements; weights are those of the height,
// then those of the width. Workgroup memory: 8 KiB.
// Limits: rows of whole words; 65535 images.
//% include "image/words.wgsl"
//% include "image/border.wgsl"

const CHANNELS = {{ channels }}u;
const LANES = 128u;
const LEFT = {{ left }};
const OUT = {{ out }}u;

alias F = vec4<f32>;

// across: words of a row; width: pixels of a row; strip: rows of a workgroup.
struct Params {
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
@group(0) @binding(2) var<storage, read_write> y: array<Y>;
@group(0) @binding(3) var<uniform> params: Params;

var<workgroup> lines: array<F, 4 * LANES>;

fn word(at: u32) -> F {
    return {{ "four_of(x[at])" if source == "u8" else "x[at]" }};
}

// A word of a row, of which a part or all lies beyond the edge.
fn beyond(start: u32, unit: i32) -> F {
    var v = F(params.fill);
    for (var k = 0; k < 4; k++) {
        let e = u32(4 * unit + k + 1024 * i32(CHANNELS));
        let place = inside(i32(e / CHANNELS) - 1024, params.width, params.mode);
        if (place >= 0) {
            let at = u32(place) * CHANNELS + e % CHANNELS;
            v[k] = word(start + (at >> 2u))[at & 3u];
        }
    }
    return v;
}

fn fetch(image: u32, row: i32, unit: i32) -> F {
    let r = inside(row, i32(params.rows), params.mode);
    if (r < 0) { return F(params.fill); }
    let start = (image * params.rows + u32(r)) * params.across;
    if (u32(unit) < params.across) { return word(start + u32(unit)); }
    if (unit > i32(params.across) + {{ right }}) { return F(); }
    return beyond(start, unit);
}

//% macro fold_all(axis, values)
//% for v in values
//% if loop.first
        v = {{ "w%s0 * %s" % (axis, v) if fold == "sum" else v }};
//% elif fold == "sum"
        v += w{{ axis }}{{ loop.index0 }} * {{ v }};
//% else
        v = {{ fold }}(v, {{ v }});
//% endif
//% endfor
//% endmacro
@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let unit = i32(group.x * OUT + lane) - LEFT;
    let first = i32(group.y) * params.strip;
    let writes = lane >= {{ left }}u && lane < {{ left }}u + OUT && u32(unit) < params.across;
//% if fold == "sum"
//% for t in range(taps_y)
    let wy{{ t }} = weights[{{ t }}];
//% endfor
//% for t in range(taps_x)
    let wx{{ t }} = weights[{{ taps_y + t }}];
//% endfor
//% endif
//% for t in range(taps_y - 1)
    var r{{ t }} = F();
//% endfor
    var n0 = F();
    var n1 = F();
    var half = 0u;
    // The first steps only fill the registers.
    for (var step = -{{ (taps_y + 2) // 2 * 2 }}; step < params.strip; step += 2) {
        let row = first + step;
        var v = F();
//% set rows = namespace(names=[])
//% for t in range(taps_y - 1)
//% set rows.names = rows.names + ["r%d" % t]
//% endfor
//% set rows.names = rows.names + ["n0", "n1"]
{{ fold_all("y", rows.names[:taps_y]) }}
        lines[half + lane] = v;
{{ fold_all("y", rows.names[1:taps_y + 1]) }}
        lines[half + LANES + lane] = v;
//% for t in range(taps_y - 1)
        r{{ t }} = {{ rows.names[t + 2] }};
//% endfor
        // The next rows are asked for before the lanes wait for one another.
        if (step + 2 < params.strip) {
            n0 = fetch(group.z, row + {{ taps_y + 1 - origin_y }}, unit);
            n1 = fetch(group.z, row + {{ taps_y + 2 - origin_y }}, unit);
        }
        workgroupBarrier();
        if (writes && step >= 0) {
            for (var b = 0u; b < 2u; b++) {
                let r = u32(row) + b;
                if (r >= params.rows) { break; }
                let at = half + b * LANES + lane;
//% for j in range(left + right + 1)
                let h{{ j }} = lines[at + {{ j }}u - {{ left }}u];
//% endfor
//% set shifts = namespace(names=[])
//% for t in range(taps_x)
//% set parts = namespace(names=[])
//% for k in range(4)
//% set e = 4 * left + k + (t - origin_x) * channels
//% set parts.names = parts.names + ["h%d.%s" % (e // 4, "xyzw"[e % 4])]
//% endfor
//% set shifts.names = shifts.names + ["F(%s)" % parts.names | join(", ")]
//% endfor
{{ fold_all("x", shifts.names) }}
                y[(group.z * params.rows + r) * params.across + u32(unit)] = {{ "packed(v)" if target == "u8" else "v" }};
            }
        }
        half = 2u * LANES - half;
    }
}
