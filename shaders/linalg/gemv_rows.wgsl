// y = alpha A x + beta y: {{ lanes }} lanes for {{ rows }} neighbouring rows, which read neighbouring words and add up in a tree
// in workgroup memory; with one lane there is no barrier, which software renderers want. Several rows keep
// more loads under way, and share those of x. Of a triangle ("{{ part }}"), a row's part is read alone.
//
// Memory: A (M, N) row-major in words of {{ unit }}, x N, y M, each of a batch as in linalg/batch.wgsl.
// Workgroup memory: 4 bytes a lane. Limits: N a multiple of the word; words of one and rows of one for a triangle.
//% set views = ["a", "x"]
//% from "linalg/batch.wgsl" import fields, starts with context
//% if "f16" == scalar
enable f16;
//% endif
alias S = {{ scalar }};
//% if unit == 4
alias W = vec4<S>;
alias F = vec4<f32>;
//% else
alias W = S;
alias F = f32;
//% endif

const LANES = {{ lanes }}u;
const GROUP = {{ group }}u;
const UNIT = {{ unit }}u;
const ROWS = {{ rows }}u;

struct Params {
    m: u32,
    n: u32,
    alpha: f32,
    beta: f32,
{{ fields() }}}

@group(0) @binding(0) var<storage, read> a: array<W>;
@group(0) @binding(1) var<storage, read> x: array<W>;
@group(0) @binding(2) var<storage, read_write> y: array<S>;
@group(0) @binding(3) var<uniform> params: Params;
{{ starts() }}
//% if lanes > 1
var<workgroup> sums: array<f32, GROUP>;

//% endif
@compute @workgroup_size(GROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let job = (group.x + group.y * 65535u) * (GROUP / LANES) + t / LANES;
    let lane = t % LANES;
    let strips = (params.m + ROWS - 1u) / ROWS;
    let jobs = params.batch * strips;
    // Lanes of rows past the end take part in the barriers.
    let index = min(job, jobs - 1u) / strips;
    let i = min(job, jobs - 1u) % strips * ROWS;
    let other = x_first(index) / UNIT;
    let first = a_first(index);
//% for r in range(rows)
    let row{{ r }} = (first + min(i + {{ r }}u, params.m - 1u) * params.a_row) / UNIT;
    var sum{{ r }} = F();
//% endfor
//% if part == "upper"
    let begin = i;
//% else
    let begin = 0u;
//% endif
//% if part == "lower"
    let end = min(i + 1u, params.n);
//% else
    let end = params.n / UNIT;
//% endif
    for (var w = begin + lane; w < end; w += LANES) {
        let v = F(x[other + w]);
//% for r in range(rows)
        sum{{ r }} = fma(F(a[row{{ r }} + w]), v, sum{{ r }});
//% endfor
    }
//% for r in range(rows)
    {
//% if unit == 4
        var total = (sum{{ r }}.x + sum{{ r }}.y) + (sum{{ r }}.z + sum{{ r }}.w);
//% else
        var total = sum{{ r }};
//% endif
//% if lanes > 1
//% if r
        workgroupBarrier();
//% endif
        sums[t] = total;
        for (var step = LANES / 2u; step > 0u; step /= 2u) {
            workgroupBarrier();
            if (lane < step) { sums[t] += sums[t + step]; }
        }
        total = sums[t];
//% endif
        if (job < jobs && lane == 0u && i + {{ r }}u < params.m) {
            let at = index * params.m + i + {{ r }}u;
            var v = params.alpha * total;
            if (params.beta != 0.0) { v = fma(params.beta, f32(y[at]), v); }
            y[at] = S(v);
        }
    }
//% endfor
}
