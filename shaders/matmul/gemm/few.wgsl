// For few rows on any GPU: {{ across }} lanes stand side by side over words of {{ unit }} columns, and {{ 256 // across }} such rows of lanes
// deal out K among them, word by word; then their sums are added up in workgroup memory.
//
// Such a product is bound by reading the weights: a lane has {{ unit }} words of them on their way at a time, and
// takes {{ rows }} rows of x at once, a workgroup of the grid's third dimension the next.
//
// An element's sum runs over K in an order that depends on K, N and the dtype alone.
//
// Workgroup memory: {{ unit + 1 }} KiB. Limits: K and N are multiples of a word; no GEGLU.
//% set word = {4: "vec4<f32>", 8: "f16x8"}[unit]
//% set walk = True
//% from "matmul/quantized/reading.wgsl" import weight with context
//% include "matmul/gemm/operands.wgsl"
//% if unit == 8
alias f16x8 = vec4<u32>;
//% endif

const THREADS = 256u;
const ACROSS = {{ across }}u;
const UNIT = {{ unit }}u;
const ROWS = {{ rows }}u;
const COLUMNS = ACROSS * UNIT;
const PARTS = THREADS / COLUMNS;

// Sums of a row by every lane, then by UNIT lanes below each other.
var<workgroup> sums: array<vec4<f32>, THREADS * UNIT / 4u>;
var<workgroup> parts: array<f32, THREADS>;

//% macro element(of, e)
{% if unit == 4 %}{{ of }}.{{ "xyzw"[e] }}{% else %}unpack2x16float({{ of }}.{{ "xyzw"[e // 2] }}).{{ "xy"[e % 2] }}{% endif %}
//% endmacro
//% macro quad(of, q)
{% if unit == 4 %}{{ of }}{% else %}vec4<f32>(unpack2x16float({{ of }}.{{ "xz"[q] }}), unpack2x16float({{ of }}.{{ "yw"[q] }})){% endif %}
//% endmacro
@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let first = (group.x + group.y * 65535u) * ACROSS;
    let words = params.n / UNIT;
    let column = min(first + t % ACROSS, words - 1u);
    let m0 = group.z * ROWS;
//% for r in range(rows)
    let row{{ r }} = min(m0 + {{ r }}u, params.m - 1u) * (params.k / UNIT);
//% for q in range(unit // 4)
    var c{{ r }}_{{ q }} = vec4<f32>();
//% endfor
//% endfor
    for (var i = t / ACROSS; i < params.k / UNIT; i += THREADS / ACROSS) {
        let at = i * UNIT * words + column;
//% for j in range(unit)
        let w{{ j }} = {{ weight("at + %du * words" % j) | trim }};
//% endfor
//% for r in range(rows)
        let a{{ r }} = x[row{{ r }} + i];
//% endfor
//% for j in range(unit)
//% for q in range(unit // 4)
        let w{{ j }}_{{ q }} = {{ quad("w%d" % j, q) | trim }};
//% endfor
//% for r in range(rows)
        let v{{ j }}_{{ r }} = vec4<f32>({{ element("a%d" % r, j) | trim }});
//% for q in range(unit // 4)
        c{{ r }}_{{ q }} = fma(v{{ j }}_{{ r }}, w{{ j }}_{{ q }}, c{{ r }}_{{ q }});
//% endfor
//% endfor
//% endfor
    }
    let part = t / COLUMNS * UNIT * COLUMNS + t % COLUMNS;
//% for r in range(rows)
//% for q in range(unit // 4)
    sums[t * (UNIT / 4u) + {{ q }}u] = c{{ r }}_{{ q }};
//% endfor
    workgroupBarrier();
    parts[t] = part_sum(part);
    workgroupBarrier();
    finish(m0 + {{ r }}u, first * UNIT, t);
//% endfor
}

fn part_sum(first: u32) -> f32 {
    var sum = 0.0;
    for (var s = 0u; s < UNIT; s++) {
        let at = first + s * COLUMNS;
        sum += sums[at / 4u][at % 4u];
    }
    return sum;
}

// Epilogue of row `m` in the columns from `first` on.
fn finish(m: u32, first: u32, t: u32) {
    let n = first + t;
    if (t >= COLUMNS || m >= params.m || n >= params.n) { return; }
    var sum = 0.0;
    for (var p = 0u; p < PARTS; p++) { sum += parts[p * COLUMNS + t]; }
    store(activate(biased(sum, m, n, params.n)), m, n, params.n);
}
