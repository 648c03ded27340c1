// Forward substitution: x = A^-1 x for a lower triangle of at most {{ nb }} rows, in place, {{ columns }} columns a workgroup.
// Upper triangles come as reversed views.
//
//% if alone
// Each invocation keeps its column in registers: no barrier, no workgroup memory, for software renderers.
//% else
// The triangle lies in workgroup memory. An invocation holds four rows of four columns in registers; a step shows
// four rows to all, in two places by turns, so that it has one barrier, and each invocation solves them for its
// columns.
//% endif
//
// Memory: views as in linalg/batch.wgsl; A may lie in the buffer of x.
// Workgroup memory: 4 * NB * (NB + 4) + 1024 bytes. Limits: NB rows, a multiple of 4.
//% set views = ["a", "x"]
//% from "linalg/batch.wgsl" import fields, starts with context

const NB = {{ nb }}u;
const COLUMNS = {{ columns }}u;
const THREADS = {{ threads }}u;

// a_quick: rows are the quick axis in memory.
struct Params {
    n: u32,
    columns: u32,
    unit: u32,
    a_quick: u32,
{{ fields() }}}

//% if not a_in_x
@group(0) @binding(0) var<storage, read> a: array<f32>;
//% endif
@group(0) @binding(1) var<storage, read_write> x: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;
{{ starts() }}
fn place_in_a(first: u32, i: u32, j: u32) -> u32 {
    return first + i * params.a_row + j * params.a_column;
}

fn place_in_x(first: u32, i: u32, c: u32) -> u32 {
    return first + i * params.x_row + c * params.x_column;
}
//% set source = "x" if a_in_x else "a"
//% if alone

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let flat = id.x + id.y * (65535u * THREADS);
    let index = flat / params.columns;
    if (index >= params.batch) { return; }
    let c = flat % params.columns;
    let a0 = a_first(index);
    let x0 = x_first(index);
    var solved = array<f32, NB>();
    for (var i = 0u; i < params.n; i++) {
        var v = x[place_in_x(x0, i, c)];
        for (var k = 0u; k < i; k++) {
            v = fma(-{{ source }}[place_in_a(a0, i, k)], solved[k], v);
        }
        if (params.unit == 0u) { v /= {{ source }}[place_in_a(a0, i, i)]; }
        solved[i] = v;
        x[place_in_x(x0, i, c)] = v;
    }
}
//% else

const LINE = NB / 4u + 1u;
const ACROSS = 8u;

var<workgroup> lower: array<vec4<f32>, NB * LINE>;
var<workgroup> shown: array<vec4<f32>, 2u * 4u * ACROSS>;

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let block = group.x + group.y * 65535u;
    let across = (params.columns + COLUMNS - 1u) / COLUMNS;
    let index = block / across;
    if (index >= params.batch) { return; }
    let a0 = a_first(index);
    let x0 = x_first(index);
    let tx = t % ACROSS;
    let own = t / ACROSS;
    // Past the ends, the last one: no branch around the load. What comes of it is not stored.
//% for e in range(4)
    let i{{ e }} = 4u * own + {{ e }}u;
    let c{{ e }} = block % across * COLUMNS + tx + {{ e }}u * ACROSS;
//% endfor
//% for e in range(4)
    var v{{ e }} = vec4<f32>({% for c in range(4) %}x[place_in_x(x0, min(i{{ e }}, params.n - 1u), min(c{{ c }}, params.columns - 1u))]{{ ", " if not loop.last }}{% endfor %});
//% endfor
//% for some in range(nb * nb // threads) | batch(16)
//% for l in some
    let s{{ l }} = t + {{ l * threads }}u;
    let row{{ l }} = select(s{{ l }} / NB, s{{ l }} % NB, params.a_quick != 0u);
    let column{{ l }} = select(s{{ l }} % NB, s{{ l }} / NB, params.a_quick != 0u);
    let e{{ l }} = {{ source }}[place_in_a(a0, min(row{{ l }}, params.n - 1u), min(column{{ l }}, params.n - 1u))];
//% endfor
//% for l in some
    lower[row{{ l }} * LINE + column{{ l }} / 4u][column{{ l }} % 4u] = e{{ l }};
//% endfor
//% endfor
    for (var q = 0u; 4u * q < params.n; q++) {
        let now = q % 2u * (4u * ACROSS) + tx;
        if (own == q) {
//% for e in range(4)
            shown[now + {{ e }}u * ACROSS] = v{{ e }};
//% endfor
        }
        workgroupBarrier();
//% for e in range(4)
        let d{{ e }} = lower[(4u * q + {{ e }}u) * LINE + q];
        var x{{ e }} = shown[now + {{ e }}u * ACROSS];
//% for k in range(e)
        x{{ e }} = fma(vec4<f32>(-d{{ e }}.{{ "xyzw"[k] }}), x{{ k }}, x{{ e }});
//% endfor
        x{{ e }} /= select(d{{ e }}.{{ "xyzw"[e] }}, 1.0, params.unit != 0u);
//% endfor
        if (own == q) {
//% for e in range(4)
            v{{ e }} = x{{ e }};
//% endfor
        } else if (own > q) {
//% for e in range(4)
            let l{{ e }} = lower[i{{ e }} * LINE + q];
//% for k in range(4)
            v{{ e }} = fma(vec4<f32>(-l{{ e }}.{{ "xyzw"[k] }}), x{{ k }}, v{{ e }});
//% endfor
//% endfor
        }
    }
//% for e in range(4)
//% for c in range(4)
    if (i{{ e }} < params.n && c{{ c }} < params.columns) { x[place_in_x(x0, i{{ e }}, c{{ c }})] = v{{ e }}.{{ "xyzw"[c] }}; }
//% endfor
//% endfor
}
//% endif
