// Body of layer norm with {{ lanes }} lanes a row, which read neighbouring words.
//% if depth
// A lane keeps its {{ depth }} word(s): x is read once.
//% else
// Rows are long: the second and third look at x come from cache.
//% endif
//
// Memory: x and y are (rows, units) of words W of {{ width }} element(s) of a row; gamma and beta are f32 in
// parts F of words. Statistics are in f32, in two passes: the second sums around the first one's
// mean, so that a large mean does not cancel, and mends that mean's own rounding.
// Limits: 2^32 words.
//% include "arrays/combination/wide.wgsl"
//% set parts = 2 if width == 8 else 1

const LANES = {{ lanes }}u;
const ROWS = 4u;

struct Params { rows: u32, units: u32, eps: f32 }

@group(0) @binding(0) var<storage, read> x: array<W>;
@group(0) @binding(1) var<storage, read> gamma: array<F>;
@group(0) @binding(2) var<storage, read> beta: array<F>;
@group(0) @binding(3) var<storage, read_write> y: array<W>;
@group(0) @binding(4) var<uniform> params: Params;

fn normal(w: W, mean: f32, scale: f32, unit: u32) -> W {
//% for h in range(parts)
//% if parts == 1
    let u{{ h }} = unit;
//% else
    let u{{ h }} = 2u * unit + {{ h }}u;
//% endif
    let v{{ h }} = (part{{ h }}(w) - mean) * scale * gamma[u{{ h }}] + beta[u{{ h }}];
//% endfor
//% if parts == 1
    return packed(v0);
//% else
    return packed(v0, v1);
//% endif
}

//% macro every_word(body)
//% if depth
//% for k in range(depth)
//% if k < depth - 1
    {
//% else
    if (lane + {{ k }}u * LANES < params.units) {
//% endif
        let w = w{{ k }};
        {{ body }}
    }
//% endfor
//% else
    for (var u = lane; u < params.units; u += LANES) {
        let w = x[first + u];
        {{ body }}
    }
//% endif
//% endmacro
@compute @workgroup_size(LANES * ROWS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let lane = t % LANES;
    let row = (group.x + group.y * 65535u) * ROWS + t / LANES;
    // Lanes of rows past the end take part in the sums of their own rows, which nobody reads.
    let first = min(row, params.rows - 1u) * params.units;
    let size = f32(params.units) * {{ width }}.0;
//% for k in range(depth)
    let w{{ k }} = x[first + min(lane + {{ k }}u * LANES, params.units - 1u)];
//% endfor
    var sum = F();
{{ every_word("sum += part0(w)%s;" % (" + part1(w)" if parts == 2 else "")) }}
    let near = row_sum(total(sum), t, lane) / size;
    var rest = F();
    var squares = 0.0;
//% for h in range(parts)
{{ every_word("let d = part%d(w) - near; rest += d; squares += square(d);" % h) }}
//% endfor
    let more = row_sum(total(rest), t, lane) / size;
    let mean = near + more;
    let variance = row_sum(squares, t, lane) / size - more * more;
    let scale = 1.0 / sqrt(max(variance, 0.0) + params.eps);
    if (row >= params.rows) { return; }
//% for k in range(depth)
    if (lane + {{ k }}u * LANES < params.units) {
        let u = lane + {{ k }}u * LANES;
        y[first + u] = normal(w{{ k }}, mean, scale, u);
    }
//% endfor
//% if not depth
    for (var u = lane; u < params.units; u += LANES) {
        y[first + u] = normal(x[first + u], mean, scale, u);
    }
//% endif
}
