// Flash attention on matrix units (Dawn): f16 in, f32 scores and results, 16 x 16 x 16 products.
//
// A workgroup of 4 subgroups of 32 makes 4 * ROWS rows of one head; a subgroup owns ROWS of them whole,
// Q and the results stay in its matrices. For each block of 32 keys: S = Q K^T goes to workgroup memory,
// where one invocation a row makes the weights and puts them, as f16, in the place of the scores, to be
// loaded as the left operand of the product with V.
// Matrices have no element access, so a rescaling of the results costs a trip through workgroup memory.
// It is therefore lazy (as in FlashAttention-4): the maximum that weights refer to is raised only when a
// row exceeds it by more than 2^8, since weights up to 256 are as exact in f16 as weights up to 1.
//
// K and V rows are zero-padded to {{ 16 * ((head + 15) // 16) }} channels and have an odd number of 16-byte words, as have
// the rows of `stage` (32 f32 or f16, or 64 f16 of Q): no bank conflicts. Grid: row blocks, heads, batch.
// Workgroup memory: {{ (64 * (2 * ((head + 15) // 16) + 1) + 64 * fq * 9) * 16 }} bytes.
// Limits: f16, D a multiple of 8 up to 160, subgroups of 32.
//% set frags = (head + 15) // 16
//% set wide = 2 * frags
//% include "attention/operands.wgsl"

const WORDS = {{ head // 8 }}u;
const WIDE = {{ wide }}u;
const PITCH = {{ wide + 1 }}u;
const ROWS = {{ 16 * fq }}u;
const BQ = 4u * ROWS;
const SP = 9u;
const SLACK = 8.0;

var<workgroup> k_tile: array<vec4<u32>, 32u * PITCH>;
var<workgroup> v_tile: array<vec4<u32>, 32u * PITCH>;
var<workgroup> stage: array<vec4<u32>, BQ * SP>;
var<workgroup> grown: u32;

fn halves(a: vec4<f32>, b: vec4<f32>) -> vec4<u32> {
    return vec4<u32>(
        pack2x16float(a.xy), pack2x16float(a.zw), pack2x16float(b.xy), pack2x16float(b.zw),
    );
}

@compute @workgroup_size(128)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    let pitch = params.heads * WORDS;
    let first = group.x * BQ;
    let q_base = group.z * params.sq * pitch + group.y * WORDS;
    let k_base = group.z * params.sk * pitch + group.y * WORDS;
    let last = params.sk - 1u;

    // Part of `stage` that is this subgroup's, and the row there that is this invocation's.
    let slice = subgroup * (ROWS * SP);
    let own = slice + lane * SP;
    let row = first + subgroup * ROWS + lane;
    let seen = min(last, row | params.open);
    var high = MASKED;
    var total = 0.0;

    // Q comes in slabs of 64 channels.
//% for f in range(frags)
//% if f % 4 == 0
//% if f
    workgroupBarrier();
//% endif
    for (var e = t; e < BQ * 8u; e += 128u) {
        let word = {{ 2 * f }}u + e % 8u;
        var x = vec4<u32>();
        if (word < WORDS) { x = q[q_base + min(first + e / 8u, params.sq - 1u) * pitch + word]; }
        stage[e / 8u * SP + e % 8u] = x;
    }
    workgroupBarrier();
//% endif
//% for i in range(fq)
    let q{{ i }}_{{ f }} = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&stage, slice + {{ 16 * i }}u * SP + {{ f % 4 * 2 }}u, SP);
    var o{{ i }}_{{ f }}: subgroup_matrix_result<f32, 16, 16>;
//% endfor
//% endfor

    let end = min(params.sk, (first + BQ) | params.open);
    for (var j = 0u; j < end; j += 32u) {
        workgroupBarrier();
        for (var e = t; e < 32u * WIDE; e += 128u) {
            let r = e / WIDE;
            let word = e % WIDE;
            let at = k_base + min(j + r, last) * pitch + word;
            var x = vec4<u32>();
            var z = vec4<u32>();
            if (word < WORDS) {
                x = k[at];
                z = v[at];
            }
            k_tile[r * PITCH + word] = x;
            v_tile[r * PITCH + word] = z;
        }
        if (t == 0u) { grown = 0u; }
        workgroupBarrier();

//% for n in range(2)
//% for i in range(fq)
        var s{{ i }}_{{ n }} = subgroup_matrix_result<f32, 16, 16>();
//% endfor
//% for f in range(frags)
        let k{{ n }}_{{ f }} = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&k_tile, {{ 16 * n }}u * PITCH + {{ 2 * f }}u, PITCH);
//% for i in range(fq)
        s{{ i }}_{{ n }} = subgroupMatrixMultiplyAccumulate(q{{ i }}_{{ f }}, k{{ n }}_{{ f }}, s{{ i }}_{{ n }});
//% endfor
//% endfor
//% for i in range(fq)
        subgroupMatrixStore<row_major>(&stage, slice + {{ 16 * i }}u * SP + {{ 4 * n }}u, s{{ i }}_{{ n }}, SP);
//% endfor
//% endfor
        workgroupBarrier();

        // One invocation a row, from here to the weights.
        var factor = 1.0;
//% for w in range(8)
        var a{{ w }} = vec4<f32>(MASKED);
//% endfor
        if (lane < ROWS) {
            let key = vec4<u32>(j) + vec4<u32>(0u, 1u, 2u, 3u);
            var m = vec4<f32>(MASKED);
//% for w in range(8)
            a{{ w }} = bitcast<vec4<f32>>(stage[own + {{ w }}u]) * params.scale;
            a{{ w }} = select(a{{ w }}, vec4<f32>(MASKED), key + vec4<u32>({{ 4 * w }}u) > vec4<u32>(seen));
            m = max(m, a{{ w }});
//% endfor
            let top = max(max(m.x, m.y), max(m.z, m.w));
            if (top > high + SLACK) {
                factor = exp2(high - top);
                high = top;
                // Before the first block the results are zero. All writers write the same.
                if (j > 0u) { grown = 1u; }
            }
        }
        if (workgroupUniformLoad(&grown) != 0u) {
//% for piece in range(0, frags, 2)
//% set here = [2, frags - piece] | min
//% for f in range(here)
//% for i in range(fq)
            subgroupMatrixStore<row_major>(&stage, slice + {{ 16 * i }}u * SP + {{ 4 * f }}u, o{{ i }}_{{ piece + f }}, SP);
//% endfor
//% endfor
            workgroupBarrier();
            if (lane < ROWS) {
                for (var w = 0u; w < {{ 4 * here }}u; w++) {
                    let x = bitcast<vec4<f32>>(stage[own + w]) * factor;
                    stage[own + w] = bitcast<vec4<u32>>(x);
                }
            }
            workgroupBarrier();
//% for f in range(here)
//% for i in range(fq)
            o{{ i }}_{{ piece + f }} = subgroupMatrixLoad<subgroup_matrix_result<f32, 16, 16>, row_major>(&stage, slice + {{ 16 * i }}u * SP + {{ 4 * f }}u, SP);
//% endfor
//% endfor
            workgroupBarrier();
//% endfor
        }
        if (lane < ROWS) {
            total *= factor;
//% for w in range(0, 8, 2)
            let p{{ w }} = exp2(a{{ w }} - high);
            let p{{ w + 1 }} = exp2(a{{ w + 1 }} - high);
            total += dot(p{{ w }} + p{{ w + 1 }}, vec4<f32>(1.0));
            stage[own + {{ w // 2 }}u] = halves(p{{ w }}, p{{ w + 1 }});
//% endfor
        }
        workgroupBarrier();

//% for n in range(2)
//% for i in range(fq)
        let w{{ i }}_{{ n }} = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&stage, slice + {{ 16 * i }}u * SP + {{ 2 * n }}u, SP);
//% endfor
//% for f in range(frags)
        let v{{ n }}_{{ f }} = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&v_tile, {{ 16 * n }}u * PITCH + {{ 2 * f }}u, PITCH);
//% for i in range(fq)
        o{{ i }}_{{ f }} = subgroupMatrixMultiplyAccumulate(w{{ i }}_{{ n }}, v{{ n }}_{{ f }}, o{{ i }}_{{ f }});
//% endfor
//% endfor
//% endfor
    }

    let weight = 1.0 / total;
    let out = q_base + row * pitch;
//% for piece in range(0, frags, 2)
//% set here = [2, frags - piece] | min
    workgroupBarrier();
//% for f in range(here)
//% for i in range(fq)
    subgroupMatrixStore<row_major>(&stage, slice + {{ 16 * i }}u * SP + {{ 4 * f }}u, o{{ i }}_{{ piece + f }}, SP);
//% endfor
//% endfor
    workgroupBarrier();
    if (lane < ROWS && row < params.sq) {
        for (var w = 0u; w < {{ 2 * here }}u; w++) {
            if ({{ 2 * piece }}u + w < WORDS) {
                let a = bitcast<vec4<f32>>(stage[own + 2u * w]) * weight;
                let b = bitcast<vec4<f32>>(stage[own + 2u * w + 1u]) * weight;
                y[out + {{ 2 * piece }}u + w] = halves(a, b);
            }
        }
    }
//% endfor
}
