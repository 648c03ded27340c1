// {{ kind }} of every row, in f32: {{ lanes }} lane(s) a row reduce it, then write it.
//
//% if subgroups
// Neighbouring lanes read neighbouring words; sums come together in a subgroup. A row
//% elif lanes > 1
// Neighbouring lanes read neighbouring words; sums come together in workgroup memory. A row
//% else
// Neighbouring lanes read neighbouring words; sums come together in one invocation. A row
//% endif
//% if kept
// is kept in registers, up to {{ kept }} words a lane, all asked for at once.
//% else
// is read again rather than kept: it comes from the cache.
//% endif
// Memory: x and y are (rows, units) of words of {{ width }} element(s); a weight is f32 (units).
//% if subgroups
// Limits: 2^32 words; lanes {{ lanes }} i to {{ lanes }} i + {{ lanes - 1 }} of a workgroup are its subgroup i.
//% else
// Limits: 2^32 words.
//% endif
//% if subgroups
enable subgroups;
//% endif
//% include "arrays/combination/flat.wgsl"

struct Params { rows: u32, units: u32, eps: f32 }

const ROWS = {{ threads // lanes }}u;

@group(0) @binding(0) var<storage, read> x: array<W>;
//% if weighted
@group(0) @binding(1) var<storage, read> weight: array<F>;
//% endif
@group(0) @binding(2) var<storage, read_write> y: array<W>;
@group(0) @binding(3) var<uniform> params: Params;

//% if width == 4
fn total(v: F) -> f32 { return (v.x + v.y) + (v.z + v.w); }
fn largest(v: F) -> f32 { return max(max(v.x, v.y), max(v.z, v.w)); }
//% else
fn total(v: F) -> f32 { return v; }
fn largest(v: F) -> f32 { return v; }
//% endif
//% include "nn/row_reduce.wgsl"

@compute @workgroup_size({{ threads }})
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let lane = t % LANES;
    let row = (group.x + group.y * 65535u) * ROWS + t / LANES;
    // Lanes of rows past the end take part in the sums of the last row, which they do not write.
    let first = min(row, params.rows - 1u) * params.units;
    let end = first + params.units;
//% for k in range(kept)
    let u{{ k }} = first + lane + {{ k }}u * LANES;
    let x{{ k }} = x[min(u{{ k }}, end - 1u)];
//% endfor
//% macro each(start)
//% if kept
//% for k in range(kept)
    if (u{{ k }} < end) { {{ caller("u%d" % k, "F(x%d)" % k) }} }
//% endfor
//% else
    for (var u = first + lane{{ start }}; u < end; u += LANES) { {{ caller("u", "F(x[u])") }} }
//% endif
//% endmacro
//% if kind == "log_softmax"
    // Lanes past a short row's end repeat its last word.
    var high = F(x[min(first + lane, end - 1u)]);
{% call(u, v) each(" + LANES") %}high = max(high, {{ v }});{% endcall %}
    let top = row_max(largest(high), t, lane);
    var sum = F();
{% call(u, v) each("") %}sum += exp({{ v }} - top);{% endcall %}
    let less = log(row_sum(total(sum), t, lane));
//% else
    var sum = F();
{% call(u, v) each("") %}let v = {{ v }}; sum = fma(v, v, sum);{% endcall %}
    let squares = row_sum(total(sum), t, lane);
//% if kind == "rms_norm"
    let scale = 1.0 / sqrt(squares / f32(params.units * {{ width }}u) + params.eps);
//% else
    let scale = 1.0 / max(sqrt(squares), params.eps);
//% endif
//% endif
    if (row >= params.rows) { return; }
//% if kind == "log_softmax"
{% call(u, v) each("") %}y[{{ u }}] = W(({{ v }} - top) - less);{% endcall %}
//% else
{% call(u, v) each("") %}y[{{ u }}] = W({{ v }} * scale{{ " * weight[%s - first]" % u if weighted }});{% endcall %}
//% endif
}
