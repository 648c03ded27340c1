// Flash attention (Dao et al. 2022, arXiv 2205.14135) for any GPU and narrow heads: an invocation owns
// {{ rows }} row(s) of a head, q and the results in its registers, so that softmax needs no exchange.
//
// The workgroup stages blocks of {{ keys }} keys and their values in workgroup memory, as f32; all its
// invocations read the same word at a time, which is one access for all. Scores of {{ batch }} keys are
// made at once; the maximum that weights refer to is raised, and the results rescaled, where a row exceeds
// it.
//
// Grid: row blocks, heads, batch. Workgroup memory: {{ 32 * keys * chunks }} bytes.
// Limits: D a multiple of 4; registers hold 2 D numbers of each row.
//% include "nn/attention/operands.wgsl"

const CHUNKS = {{ chunks }}u;
const THREADS = {{ threads }}u;
const KEYS = {{ keys }}u;

var<workgroup> k_tile: array<vec4<f32>, KEYS * CHUNKS>;
var<workgroup> v_tile: array<vec4<f32>, KEYS * CHUNKS>;

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let first = group.x * {{ rows }}u * THREADS;
    let head = group.y * params.units;
    let q_base = group.z * params.sq * params.q_pitch + params.q_first + head;
    let k_base = group.z * params.sk * params.k_pitch + params.k_first + head;
    let v_base = group.z * params.sk * params.v_pitch + params.v_first + head;
    let last = params.sk - 1u;
//% for r in range(rows)
    let row{{ r }} = first + {{ r }}u * THREADS + t;
    let seen{{ r }} = min(last, row{{ r }} | params.open);
    let from{{ r }} = q_base + min(row{{ r }}, params.sq - 1u) * params.q_pitch;
    var high{{ r }} = MASKED;
    var total{{ r }} = 0.0;
//% for c in range(chunks)
    let q{{ r }}_{{ c }} = vec4<f32>(q[from{{ r }} + {{ c }}u]) * params.scale;
    var o{{ r }}_{{ c }} = vec4<f32>();
//% endfor
//% endfor

    let end = min(params.sk, (first + {{ rows }}u * THREADS) | params.open);
    for (var j = 0u; j < end; j += KEYS) {
        workgroupBarrier();
        for (var e = t; e < KEYS * CHUNKS; e += THREADS) {
            let key = min(j + e / CHUNKS, last);
            k_tile[e] = vec4<f32>(k[k_base + key * params.k_pitch + e % CHUNKS]);
            v_tile[e] = vec4<f32>(v[v_base + key * params.v_pitch + e % CHUNKS]);
        }
        workgroupBarrier();
        for (var i = 0u; i < min(KEYS, end - j); i += {{ batch }}u) {
            let at = i * CHUNKS;
//% for n in range(batch)
//% for r in range(rows)
            var s{{ r }}_{{ n }} = MASKED;
//% endfor
            {
//% for r in range(rows)
                var sum{{ r }} = vec4<f32>();
//% endfor
//% for c in range(chunks)
                let k{{ c }} = k_tile[at + {{ n * chunks + c }}u];
//% for r in range(rows)
                sum{{ r }} = fma(q{{ r }}_{{ c }}, k{{ c }}, sum{{ r }});
//% endfor
//% endfor
//% for r in range(rows)
                if (j + i + {{ n }}u <= seen{{ r }}) { s{{ r }}_{{ n }} = (sum{{ r }}.x + sum{{ r }}.y) + (sum{{ r }}.z + sum{{ r }}.w); }
//% endfor
            }
//% endfor
//% for r in range(rows)
            var top{{ r }} = s{{ r }}_0;
//% for n in range(1, batch)
            top{{ r }} = max(top{{ r }}, s{{ r }}_{{ n }});
//% endfor
            if (top{{ r }} > high{{ r }}) {
                let shrink = exp2(high{{ r }} - top{{ r }});
                high{{ r }} = top{{ r }};
                total{{ r }} *= shrink;
//% for c in range(chunks)
                o{{ r }}_{{ c }} *= shrink;
//% endfor
            }
//% for n in range(batch)
            s{{ r }}_{{ n }} = exp2(s{{ r }}_{{ n }} - high{{ r }});
            total{{ r }} += s{{ r }}_{{ n }};
//% endfor
//% endfor
//% for n in range(batch)
//% for c in range(chunks)
            {
                let v = v_tile[at + {{ n * chunks + c }}u];
//% for r in range(rows)
                o{{ r }}_{{ c }} = fma(vec4<f32>(s{{ r }}_{{ n }}), v, o{{ r }}_{{ c }});
//% endfor
            }
//% endfor
//% endfor
        }
    }

//% for r in range(rows)
    if (row{{ r }} < params.sq) {
        let weight = 1.0 / total{{ r }};
        let out = (group.z * params.sq + row{{ r }}) * params.heads * params.units + head;
//% for c in range(chunks)
        y[out + {{ c }}u] = vec4<S>(o{{ r }}_{{ c }} * weight);
//% endfor
    }
//% endfor
}
