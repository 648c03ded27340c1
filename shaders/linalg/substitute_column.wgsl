// Forward substitution of a few columns in launches of {{ blocks }} blocks of 64 rows of a lower triangle. All workgroups of a
// column solve these rows for themselves; then each subtracts their products from 32 of the rows below. What
// takes a launch instead of {{ 2 * blocks }} waits for nothing but itself. A step of 64 rows solves four, and has one barrier.
//
// Memory: views as in linalg/batch.wgsl: x has the right-hand sides from these rows on, and is changed below them
// only, since others still read them; y gets the solution.
// Workgroup memory: 4 * (64 * 65 + 64 * 17 + 64 * BLOCKS + 8) bytes.
// Limits: A and x lie in different buffers. Upper triangles come as reversed views.
//% set views = ["a", "x", "y"]
//% from "linalg/batch.wgsl" import fields, starts with context

const NB = 64u;
const BLOCKS = {{ blocks }}u;
const BELOW = 32u;
const LINE = NB + 1u;
const PARTS = 16u;
const THREADS = 256u;

// a_quick: rows are the quick axis in memory.
struct Params {
    n: u32,
    columns: u32,
    groups: u32,
    unit: u32,
    a_quick: u32,
{{ fields() }}}

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read_write> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;
{{ starts() }}
var<workgroup> lower: array<f32, NB * LINE>;
var<workgroup> sums: array<f32, NB * (PARTS + 1u)>;
var<workgroup> solved: array<f32, NB * BLOCKS>;
var<workgroup> shown: array<vec4<f32>, 2>;

// Past the ends, the last one: no branch around the load. What comes of it is not stored.
fn element(first: u32, i: u32, j: u32) -> f32 {
    return a[first + min(i, params.n - 1u) * params.a_row + min(j, params.n - 1u) * params.a_column];
}

struct Corner { diagonal: vec4<f32>, row1: vec4<f32>, row2: vec4<f32>, row3: vec4<f32> }

fn corner_at(q: u32) -> Corner {
    let first = min(4u * q, NB - 4u) * (LINE + 1u);
    let unit = params.unit != 0u;
    var corner = Corner();
//% for e in range(4)
    corner.diagonal.{{ "xyzw"[e] }} = select(lower[first + {{ e }}u * (LINE + 1u)], 1.0, unit);
//% for k in range(e)
    corner.row{{ e }}.{{ "xyzw"[k] }} = lower[first + {{ e }}u * LINE + {{ k }}u];
//% endfor
//% endfor
    return corner;
}

fn factors_at(row: u32, q: u32) -> vec4<f32> {
    let first = row * LINE + min(4u * q, NB - 4u);
    return vec4<f32>(lower[first], lower[first + 1u], lower[first + 2u], lower[first + 3u]);
}

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let flat = group.x + group.y * 65535u;
    let member = flat % params.groups;
    let column = flat / params.groups % params.columns;
    let index = flat / params.groups / params.columns;
    if (index >= params.batch) { return; }
    let a0 = a_first(index);
    let x0 = x_first(index) + column * params.x_column;
    let y0 = y_first(index) + column * params.y_column;
    let walk = min(params.n, NB * BLOCKS);
    let sixteen = t / PARTS;
    // Of products: rows 16 apart, and four columns of 64.
    let r = select(sixteen, t % PARTS, params.a_quick != 0u);
    let part = select(t % PARTS, sixteen, params.a_quick != 0u);
    for (var i = t; i < NB * BLOCKS; i += THREADS) {
        solved[i] = x[x0 + min(i, params.n - 1u) * params.x_row];
    }
//% for l in range(16)
    let i{{ l }} = select((t + {{ l }}u * THREADS) / NB, (t + {{ l }}u * THREADS) % NB, params.a_quick != 0u);
    let j{{ l }} = select((t + {{ l }}u * THREADS) % NB, (t + {{ l }}u * THREADS) / NB, params.a_quick != 0u);
    var next{{ l }} = element(a0, i{{ l }}, j{{ l }});
//% endfor
    for (var from_row = 0u; from_row < walk; from_row += NB) {
        let after = from_row + NB;
//% for l in range(16)
        lower[i{{ l }} * LINE + j{{ l }}] = next{{ l }};
//% endfor
        // The next block is on its way meanwhile; past the last one it is not used.
//% for l in range(16)
        next{{ l }} = element(a0, after + i{{ l }}, after + j{{ l }});
//% endfor
        workgroupBarrier();
        let own = min(t, NB - 1u);
        var v = solved[from_row + own];
        // Of the step at hand: four rows' corner of the triangle, and four numbers of the own row.
        var corner = corner_at(0u);
        var factors = factors_at(own, 0u);
        for (var q = 0u; q < NB / 4u; q++) {
            let now = q % 2u;
            if (t / 4u == q) { shown[now][t % 4u] = v; }
            workgroupBarrier();
            var s = shown[now];
            // Those of the next step are on their way meanwhile; past the last one they are not used.
            let next_corner = corner_at(q + 1u);
            let next_factors = factors_at(own, q + 1u);
//% for e in range(4)
//% for k in range(e)
            s.{{ "xyzw"[e] }} = fma(-corner.row{{ e }}.{{ "xyzw"[k] }}, s.{{ "xyzw"[k] }}, s.{{ "xyzw"[e] }});
//% endfor
            s.{{ "xyzw"[e] }} /= corner.diagonal.{{ "xyzw"[e] }};
//% endfor
            if (t / 4u == q) {
                v = select(select(s.x, s.y, t % 4u == 1u), select(s.z, s.w, t % 4u == 3u), t % 4u > 1u);
            } else if (own / 4u > q) {
//% for k in range(4)
                v = fma(-factors.{{ "xyzw"[k] }}, s.{{ "xyzw"[k] }}, v);
//% endfor
            }
            corner = next_corner;
            factors = next_factors;
        }
        if (t < NB) { solved[from_row + t] = v; }
        workgroupBarrier();
        for (var below = after; below < walk; below += NB) {
//% for s in range(4)
            let i_{{ s }} = below + r + {{ 16 * s }}u;
//% for k in range(4)
            let a{{ s }}{{ k }} = element(a0, i_{{ s }}, from_row + part + {{ k }}u * PARTS);
//% endfor
//% endfor
//% for s in range(4)
            var sum{{ s }} = 0.0;
//% for k in range(4)
            sum{{ s }} = fma(a{{ s }}{{ k }}, solved[from_row + part + {{ k }}u * PARTS], sum{{ s }});
//% endfor
            sums[(r + {{ 16 * s }}u) * (PARTS + 1u) + part] = sum{{ s }};
//% endfor
            workgroupBarrier();
            if (t < NB) {
                var sum = 0.0;
                for (var k = 0u; k < PARTS; k++) { sum += sums[t * (PARTS + 1u) + k]; }
                solved[below + t] -= sum;
            }
            workgroupBarrier();
        }
    }
    if (member == 0u) {
        for (var i = t; i < walk; i += THREADS) { y[y0 + i * params.y_row] = solved[i]; }
    }
    if (params.n == walk) { return; }
    let first = walk + member * BELOW;
//% for s in range(2)
    var sum{{ s }} = 0.0;
//% endfor
//% for from_row in range(0, 64 * blocks, 64)
    {
//% for s in range(2)
//% for k in range(4)
        let a{{ s }}{{ k }} = element(a0, first + r + {{ 16 * s }}u, part + {{ from_row + 16 * k }}u);
//% endfor
//% endfor
//% for s in range(2)
//% for k in range(4)
        sum{{ s }} = fma(a{{ s }}{{ k }}, solved[part + {{ from_row + 16 * k }}u], sum{{ s }});
//% endfor
//% endfor
    }
//% endfor
//% for s in range(2)
    sums[(r + {{ 16 * s }}u) * (PARTS + 1u) + part] = sum{{ s }};
//% endfor
    workgroupBarrier();
    if (t < BELOW && first + t < params.n) {
        var sum = 0.0;
        for (var k = 0u; k < PARTS; k++) { sum += sums[t * (PARTS + 1u) + k]; }
        x[x0 + (first + t) * params.x_row] -= sum;
    }
}
