// For few columns on any GPU: LANES invocations share ROWS rows and deal out K among them, word by word;
// then their sums are added up in workgroup memory.
//
// Such a product is bound by reading x: neighbours read neighbouring words of {{ unit }} elements. The weights
// of so many channels, all columns, lie in one piece, as many words as there are columns; they come
// from the cache and serve ROWS rows.
//
// An element's sum runs over K in an order that depends on K alone. GEGLU: all 2 N columns are summed.
//
// Workgroup memory: up to 64 * (THREADS + THREADS / LANES) bytes.
// Limits: windows of up to 30 taps; channels are multiples of a word; all columns are in registers at
// once, so some 16 at most.
//% set threads = 128
//% set groups = threads // lanes
//% set at_once = [4, columns] | min
//% set word = {"1": "S", "4": "vec4<f32>", "8": "f16x8"}[unit | string]
//% set walk = True
//% include "matmul/gemm/operands.wgsl"
//% if unit == 8
alias f16x8 = vec4<u32>;
//% endif

const LANES = {{ lanes }}u;
const GROUPS = {{ groups }}u;
const ROWS = 4u;
const COLUMNS = {{ columns }}u;

// Sums of every invocation in some columns; a group's are one word further on than they fill, against
// bank conflicts.
var<workgroup> sums: array<vec4<f32>, {{ at_once * groups * (lanes + 1) }}>;

//% macro element(of, e)
{% if unit == 1 %}f32({{ of }}){% elif unit == 4 %}{{ of }}.{{ "xyzw"[e] }}{% else %}unpack2x16float({{ of }}.{{ "xyzw"[e // 2] }}).{{ "xy"[e % 2] }}{% endif %}
//% endmacro
@compute @workgroup_size({{ threads }})
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let m0 = (workgroup.x + workgroup.y * 65535u) * (GROUPS * ROWS);
    let lane = t % LANES;
    let group = t / LANES;
//% for r in range(4)
    let row{{ r }} = row_of(min(m0 + group * ROWS + {{ r }}u, params.m - 1u));
    let pixel{{ r }} = first_pixel(row{{ r }});
//% if holes
    let seen{{ r }} = seen_taps(row{{ r }});
//% endif
//% endfor
//% for n in range(columns)
    var c{{ n }} = vec4<f32>();
//% endfor
    let words1 = channels(0u) / {{ unit }}u;
//% if two
    let words = words1 + channels(1u) / {{ unit }}u;
//% else
    let words = words1;
//% endif
    for (var i = lane; i < taps() * words; i += LANES) {
        let tap = i / words;
        let at = i % words;
//% for r in range(4)
        var a{{ r }} = {{ word }}();
//% if holes
        if (((seen{{ r }} >> tap) & 1u) != 0u) {
            let pixel = tap_pixel(row{{ r }}, pixel{{ r }}, tap, seen{{ r }});
//% else
        {
            let pixel = pixel{{ r }};
//% endif
//% if two
            if (at < words1) {
                a{{ r }} = x[pixel * words1 + at];
            } else {
                a{{ r }} = x2[pixel * (words - words1) + at - words1];
            }
//% else
            a{{ r }} = x[pixel * words + at];
//% endif
        }
//% endfor
//% for j in range(columns)
        let w{{ j }} = w[i * COLUMNS + {{ j }}u];
//% endfor
//% for e in range(unit)
        let v{{ e }} = vec4<f32>(
//% for r in range(4)
            {{ element("a" ~ r, e) | trim }},
//% endfor
        );
//% for n in range(columns)
//% set flat = e * columns + n
        c{{ n }} = fma(v{{ e }}, vec4<f32>({{ element("w" ~ flat // unit, flat % unit) | trim }}), c{{ n }});
//% endfor
//% endfor
    }

//% set geglu = activation == "geglu"
//% for first in range(0, columns, at_once)
//% set here = [at_once, columns - first] | min
//% if first
    workgroupBarrier();
//% endif
//% for j in range(here)
//% set n = first + j
//% if geglu
    sums[{{ j * groups }}u * (LANES + 1u) + group * (LANES + 1u) + lane] = c{{ n // 2 + n % 2 * columns // 2 }};
//% else
    sums[{{ j * groups }}u * (LANES + 1u) + group * (LANES + 1u) + lane] = c{{ n }};
//% endif
//% endfor
    workgroupBarrier();
//% if geglu
    finish(m0, {{ first // 2 }}u, {{ here }}u, t);
//% else
    finish(m0, {{ first }}u, {{ here }}u, t);
//% endif
//% endfor
}

fn sum(row: u32, j: u32) -> f32 {
    let start = (j * GROUPS + row / ROWS) * (LANES + 1u);
    var total = 0.0;
    for (var l = 0u; l < LANES; l++) {
        total += sums[start + l][row % ROWS];
    }
    return total;
}

// Epilogue of `here` columns from `first` on, of which GEGLU's alternate between values and gates.
fn finish(m0: u32, first: u32, here: u32, t: u32) {
//% if activation == "geglu"
    let wide = here / 2u;
//% else
    let wide = here;
//% endif
    for (var e = t; e < GROUPS * ROWS * wide; e += {{ threads }}u) {
        let row = e / wide;
        let m = m0 + row;
        let n = first + e % wide;
        if (m < params.m) {
//% if activation == "geglu"
            let gate = biased(sum(row, e % wide * 2u + 1u), m, n + params.n, COLUMNS);
            store(biased(sum(row, e % wide * 2u), m, n, COLUMNS) * activate(gate), m, n, params.n);
//% else
            store(activate(biased(sum(row, e % wide), m, n, COLUMNS)), m, n, params.n);
//% endif
        }
    }
}
