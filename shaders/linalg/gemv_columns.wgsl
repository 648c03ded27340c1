// y = alpha A^T x + beta y: {{ lanes }} lanes stand side by side over words of columns, {{ group // lanes }} such rows of lanes walk
// down the rows of A; their sums meet in workgroup memory. Long columns are cut into chunks, whose sums a
// second launch of this file (`merging`) adds up. Of a triangle ("{{ part }}"), what is outside or on the
// diagonal counts as zero.
//
// Memory: A (M, N) row-major in words of {{ unit }}, x M, y N, each of a batch as in linalg/batch.wgsl; the sums of
// chunks are (batch, chunks, N) in f32.
// Workgroup memory: 16 bytes a lane. Limits: N a multiple of the word; one of a triangle.
//% set views = ["a", "x"]
//% from "linalg/batch.wgsl" import fields, starts with context
//% if "f16" in (scalar, out)
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
alias Y = {{ ("vec4<%s>" if unit == 4 else "%s") % out }};

const LANES = {{ lanes }}u;
const ROWS = {{ group // lanes }}u;
const UNIT = {{ unit }}u;

struct Params {
    m: u32,
    n: u32,
    chunks: u32,
    span: u32,
    alpha: f32,
    beta: f32,
{{ fields() }}}

@group(0) @binding(0) var<storage, read> a: array<W>;
//% if not merging
@group(0) @binding(1) var<storage, read> x: array<S>;
//% endif
@group(0) @binding(2) var<storage, read_write> y: array<Y>;
@group(0) @binding(3) var<uniform> params: Params;
{{ starts() }}
//% if group > lanes
var<workgroup> sums: array<F, {{ group }}>;

//% endif
@compute @workgroup_size({{ group }})
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let job = group.x + group.y * 65535u;
    let words = params.n / UNIT;
    let across = (words + LANES - 1u) / LANES;
    let index = job / across / params.chunks;
    if (index >= params.batch) { return; }
    let chunk = job / across % params.chunks;
    let w = job % across * LANES + t % LANES;
    let begin = chunk * params.span;
    let end = min(begin + params.span, params.m);
    let first = a_first(index) / UNIT + min(w, words - 1u);
    let pitch = params.a_row / UNIT;
//% if not merging
    let other = x_first(index);
//% endif
    var sum = F();
    var i = begin + t / LANES;
//% if part == "all" and not merging and group > lanes
    // Four loads are under way at a time.
    for (; i + 3u * ROWS < end; i += 4u * ROWS) {
//% for e in range(4)
        let v{{ e }} = a[first + (i + {{ e }}u * ROWS) * pitch];
        let x{{ e }} = f32(x[other + i + {{ e }}u * ROWS]);
//% endfor
//% for e in range(4)
        sum = fma(F(v{{ e }}), F(x{{ e }}), sum);
//% endfor
    }
//% endif
    for (; i < end; i += ROWS) {
//% if merging
        sum += F(a[first + i * pitch]);
//% elif part == "all"
        sum = fma(F(a[first + i * pitch]), F(f32(x[other + i])), sum);
//% else
//% if part == "lower"
        if (i > w) {
//% else
        if (i < w) {
//% endif
            sum = fma(F(a[first + i * pitch]), F(f32(x[other + i])), sum);
        }
//% endif
    }
//% if group > lanes
    sums[t] = sum;
    for (var step = ROWS / 2u; step > 0u; step /= 2u) {
        workgroupBarrier();
        if (t / LANES < step) { sums[t] += sums[t + step * LANES]; }
    }
    sum = sums[t];
//% endif
    if (w >= words || t >= LANES) { return; }
    let at = (index * params.chunks + chunk) * words + w;
//% if partial
    y[at] = sum;
//% else
    var v = params.alpha * sum;
    if (params.beta != 0.0) { v = fma(F(params.beta), F(y[at]), v); }
    y[at] = Y(v);
//% endif
}
