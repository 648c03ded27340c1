// x = y P^-1 for each row, P upper triangular of 32 by 32: substitution from the left, a row an
// invocation; P lies in workgroup memory. All steps are written out, so that the row stays in registers.
//
// Memory: element (i, k) of matrix z of x and y at first + i pitch + k + z batch; p (batch, 32, 32) from
// p_first on, p_batch apart. Workgroup memory: 4 KiB.
// Limits: f32; 2^32 elements.
struct Params {
    rows: u32, batch: u32, p_first: u32, p_batch: u32,
    y_first: u32, y_pitch: u32, y_batch: u32,
    x_first: u32, x_pitch: u32, x_batch: u32,
}

@group(0) @binding(0) var<storage, read> y: array<f32>;
@group(0) @binding(1) var<storage, read> p: array<f32>;
@group(0) @binding(2) var<storage, read_write> x: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

const THREADS = 64u;

var<workgroup> upper: array<vec4<f32>, 256>;
var<workgroup> inverses: array<f32, 32>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let blocks = (params.rows + THREADS - 1u) / THREADS;
    let index = group.x + group.y * 65535u;
    if (index >= blocks * params.batch) { return; }
    let z = index / blocks;
    let p0 = params.p_first + z * params.p_batch;
    for (var e = t; e < 256u; e += THREADS) {
        let at = p0 + 4u * e;
        upper[e] = vec4<f32>(p[at], p[at + 1u], p[at + 2u], p[at + 3u]);
    }
    if (t < 32u) { inverses[t] = 1.0 / p[p0 + t * 33u]; }
    workgroupBarrier();
    let i = index % blocks * THREADS + t;
    if (i >= params.rows) { return; }
    let here = params.y_first + z * params.y_batch + i * params.y_pitch;
    let there = params.x_first + z * params.x_batch + i * params.x_pitch;
//% for q in range(8)
    var row{{ q }} = vec4<f32>(y[here + {{ 4 * q }}u], y[here + {{ 4 * q + 1 }}u], y[here + {{ 4 * q + 2 }}u], y[here + {{ 4 * q + 3 }}u]);
//% endfor
//% for k in range(32)
    let value{{ k }} = row{{ k // 4 }}.{{ "xyzw"[k % 4] }} * inverses[{{ k }}];
    x[there + {{ k }}u] = value{{ k }};
//% for q in range((k + 1) // 4, 8)
    row{{ q }} -= value{{ k }} * upper[{{ 8 * k + q }}];
//% endfor
//% endfor
}
