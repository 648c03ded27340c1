// For CPU adapters (llvmpipe): no barrier, no workgroup memory.
//
// An invocation makes {{ rows }} rows of the result, a slice of SLICE channels of them, held in named variables.
// Keys come in blocks; a block's scores are made first, so that the running maximum, and the rescaling
// of the result that follows from it, cost once a block. Loads are dear on a CPU and cost the same
// whether the address is shared or not. With subgroups, lane i therefore loads key i of a block of
// LANES, and subgroupBroadcast from a constant lane (next to free) hands it to all rows of the
// subgroup; without, each invocation loads blocks of {{ keys }} keys for itself.
//
// Grid: row blocks, heads * slices, batch. The loop over channels stays a loop (its length is a
// uniform): unrolled, it compiles for seconds. Slices past the first repeat the scores.
// Limits: D a multiple of 4; a subgroup has LANES invocations.
// Measured (llvmpipe, a core, D 32): 12 GFLOP/s, against 5 with every invocation loading for itself.
//% include "nn/attention/operands.wgsl"

const WG = {{ workgroup }}u;
const ROWS = {{ rows }}u * WG;
const SLICE = {{ slice // 4 }}u;

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    let head = group.y % params.heads * params.units;
    let start = group.y / params.heads * SLICE;
    let q_base = group.z * params.sq * params.q_pitch + params.q_first + head;
    let k_base = group.z * params.sk * params.k_pitch + params.k_first + head;
    let v_base = group.z * params.sk * params.v_pitch + params.v_first + head;
    let first = group.x * ROWS;
    let last = params.sk - 1u;
//% if lanes
    let lane = index % {{ lanes }}u;
//% endif
//% for r in range(rows)
    let row{{ r }} = first + index + {{ r }}u * WG;
    let seen{{ r }} = min(last, row{{ r }} | params.open);
    let q{{ r }} = q_base + min(row{{ r }}, params.sq - 1u) * params.q_pitch;
    var high{{ r }} = MASKED;
    var total{{ r }} = 0.0;
//% for c in range(slice // 4)
    var o{{ r }}_{{ c }} = vec4<f32>();
//% endfor
//% endfor

//% macro fetch(source, chunk)
//% if lanes
            let own = vec4<f32>({{ source }}[{{ source }}_at + {{ chunk }}]);
//% for i in range(keys)
            let b{{ i }} = subgroupBroadcast(own, {{ i }}u);
//% endfor
//% else
//% for i in range(keys)
            let b{{ i }} = vec4<f32>({{ source }}[{{ source }}_at{{ i }} + {{ chunk }}]);
//% endfor
//% endif
//% endmacro
    let end = min(params.sk, (first + ROWS) | params.open);
    for (var j = 0u; j < end; j += {{ keys }}u) {
//% if lanes
        let key = min(j + lane, last);
        let k_at = k_base + key * params.k_pitch;
        let v_at = v_base + key * params.v_pitch;
//% else
//% for i in range(keys)
        let key{{ i }} = min(j + {{ i }}u, last);
        let k_at{{ i }} = k_base + key{{ i }} * params.k_pitch;
        let v_at{{ i }} = v_base + key{{ i }} * params.v_pitch;
//% endfor
//% endif
//% for r in range(rows)
//% for i in range(keys)
        var s{{ r }}_{{ i }} = 0.0;
//% endfor
//% endfor
        for (var c = 0u; c < params.units; c++) {
{{ fetch("k", "c") -}}
//% for r in range(rows)
            let a{{ r }} = vec4<f32>(q[q{{ r }} + c]);
//% for i in range(keys)
            s{{ r }}_{{ i }} += dot(a{{ r }}, b{{ i }});
//% endfor
//% endfor
        }
//% for r in range(rows)
        var top{{ r }} = high{{ r }};
//% for i in range(keys)
        s{{ r }}_{{ i }} = select(MASKED, s{{ r }}_{{ i }} * params.scale, j + {{ i }}u <= seen{{ r }});
        top{{ r }} = max(top{{ r }}, s{{ r }}_{{ i }});
//% endfor
        let shrink{{ r }} = exp2(high{{ r }} - top{{ r }});
        high{{ r }} = top{{ r }};
        total{{ r }} *= shrink{{ r }};
//% for i in range(keys)
        let p{{ r }}_{{ i }} = exp2(s{{ r }}_{{ i }} - top{{ r }});
        total{{ r }} += p{{ r }}_{{ i }};
//% endfor
//% endfor
//% for c in range(slice // 4)
        {
{{ fetch("v", "min(start + " ~ c ~ "u, params.units - 1u)") -}}
//% for r in range(rows)
            var sum{{ r }} = o{{ r }}_{{ c }} * shrink{{ r }};
//% for i in range(keys)
            sum{{ r }} = fma(vec4<f32>(p{{ r }}_{{ i }}), b{{ i }}, sum{{ r }});
//% endfor
            o{{ r }}_{{ c }} = sum{{ r }};
//% endfor
        }
//% endfor
    }

//% for r in range(rows)
    if (row{{ r }} < params.sq) {
        let weight = 1.0 / total{{ r }};
        let out = (group.z * params.sq + row{{ r }}) * params.heads * params.units + head + start;
//% for c in range(slice // 4)
        if (start + {{ c }}u < params.units) { y[out + {{ c }}u] = vec4<S>(o{{ r }}_{{ c }} * weight); }
//% endfor
    }
//% endfor
}
