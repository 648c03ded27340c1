// Flash attention (Dao et al. 2022, arXiv 2205.14135) for any GPU: no subgroups, no matrix units.
//
// A workgroup of 16 x 8 invocations makes BQ rows of one head. For each block of 32 keys, K is staged in
// workgroup memory and the invocation (ty, tx) makes the scores of rows ty + 16 r with keys 4 tx + i;
// the running maximum is agreed on through `exchange`; the weights go to `weights`; V takes K's place;
// and (ty, tx) adds to the channels 4 (tx + 8 c) of its rows. No S x S matrix exists anywhere.
// Heads wider than SLAB channels pass through in slabs, with the results still held in registers.
//
// Key i of a block lies in row (i % 4) * 8 + i / 4 of the staged K, and
// rows have an odd number of vec4, so that the 8 invocations of a row read without bank conflicts.
// Grid: row blocks, heads, batch.
// Workgroup memory: (BQ + 32) * PITCH vec4<S>, BQ * 9 vec4<f32>, BQ * 8 f32.
// Limits: registers hold BQ / 16 * D / 8 results an invocation (128 at most).
//% set chunks = (head + 3) // 4
//% set slab4 = slab // 4
//% set slabs = (chunks + slab4 - 1) // slab4
//% set own = (slab4 + 7) // 8
//% include "nn/attention/operands.wgsl"

const D = {{ head }}u;
const CHUNKS = {{ chunks }}u;
const BQ = {{ 16 * rows }}u;
const SLAB = {{ slab4 }}u;
const PITCH = SLAB | 1u;
const THREADS = 128u;

var<workgroup> q_tile: array<vec4<S>, BQ * PITCH>;
var<workgroup> tile: array<vec4<S>, 32u * PITCH>;
var<workgroup> weights: array<vec4<f32>, BQ * 9u>;
var<workgroup> exchange: array<f32, BQ * 8u>;

//% for name in ("q", "k", "v")
// Four channels of {{ name }}, zero past the head's width; `row` is the element where its row starts.
fn fetch_{{ name }}(row: u32, chunk: u32) -> vec4<S> {
//% if slabs * slab4 > chunks
    if (chunk >= CHUNKS) { return vec4<S>(); }
//% endif
//% if vector
    return {{ name }}[row + chunk];
//% else
    var r = vec4<S>();
    for (var i = 0u; i < 4u; i++) {
        let c = chunk * 4u + i;
        if (c < D) { r[i] = {{ name }}[row + c]; }
    }
    return r;
//% endif
}

//% endfor
fn store(row: u32, chunk: u32, value: vec4<f32>) {
    if (chunk >= CHUNKS) { return; }
//% if vector
    y[row + chunk] = vec4<S>(value);
//% else
    for (var i = 0u; i < 4u; i++) {
        let c = chunk * 4u + i;
        if (c < D) { y[row + c] = S(value[i]); }
    }
//% endif
}

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let tx = t % 8u;
    let ty = t / 8u;
    let first = group.x * BQ;
    let head = group.y * params.units;
    let q_base = group.z * params.sq * params.q_pitch + params.q_first + head;
    let k_base = group.z * params.sk * params.k_pitch + params.k_first + head;
    let v_base = group.z * params.sk * params.v_pitch + params.v_first + head;
    let last = params.sk - 1u;

//% for r in range(rows)
    let row{{ r }} = first + ty + {{ 16 * r }}u;
    let seen{{ r }} = min(last, row{{ r }} | params.open);
    var high{{ r }} = MASKED;
    var total{{ r }} = 0.0;
//% for c in range(slabs * own)
    var o{{ r }}_{{ c }} = vec4<f32>();
//% endfor
//% endfor

//% macro stage_q(s)
        for (var e = t; e < BQ * SLAB; e += THREADS) {
            let row = min(first + e / SLAB, params.sq - 1u);
            q_tile[e / SLAB * PITCH + e % SLAB] = fetch_q(q_base + row * params.q_pitch, {{ s }}u * SLAB + e % SLAB);
        }
//% endmacro
//% macro stage(name, s, row)
        for (var e = t; e < 32u * SLAB; e += THREADS) {
            let r = e / SLAB;
            let key = min(j + {{ row }}, last);
            tile[r * PITCH + e % SLAB] = fetch_{{ name }}({{ name }}_base + key * params.{{ name }}_pitch, {{ s }}u * SLAB + e % SLAB);
        }
//% endmacro
//% if slabs == 1
{{ stage_q(0) -}}
//% endif
    let end = min(params.sk, (first + BQ) | params.open);
    for (var j = 0u; j < end; j += 32u) {
//% for r in range(rows)
        var s{{ r }} = vec4<f32>();
//% endfor
//% for s in range(slabs)
        workgroupBarrier();
//% if slabs > 1
{{ stage_q(s) -}}
//% endif
{{ stage("k", s, "r % 8u * 4u + r / 8u") -}}
        workgroupBarrier();
        for (var c = 0u; c < SLAB; c++) {
//% for i in range(4)
            let k{{ i }} = vec4<f32>(tile[(tx + {{ 8 * i }}u) * PITCH + c]);
//% endfor
//% for r in range(rows)
            let q{{ r }} = vec4<f32>(q_tile[(ty + {{ 16 * r }}u) * PITCH + c]);
            s{{ r }} += vec4<f32>(dot(q{{ r }}, k0), dot(q{{ r }}, k1), dot(q{{ r }}, k2), dot(q{{ r }}, k3));
//% endfor
        }
//% endfor
        // Rows agree on their maximum over the 8 invocations that share them.
        let key = vec4<u32>(j + 4u * tx) + vec4<u32>(0u, 1u, 2u, 3u);
//% for r in range(rows)
        s{{ r }} = select(vec4<f32>(MASKED), s{{ r }} * params.scale, key <= vec4<u32>(seen{{ r }}));
        exchange[(ty + {{ 16 * r }}u) * 8u + tx] = max(max(s{{ r }}.x, s{{ r }}.y), max(s{{ r }}.z, s{{ r }}.w));
//% endfor
        workgroupBarrier();
//% for r in range(rows)
        var top{{ r }} = high{{ r }};
        for (var i = 0u; i < 8u; i++) { top{{ r }} = max(top{{ r }}, exchange[(ty + {{ 16 * r }}u) * 8u + i]); }
        let shrink{{ r }} = exp2(high{{ r }} - top{{ r }});
        let p{{ r }} = exp2(s{{ r }} - top{{ r }});
        high{{ r }} = top{{ r }};
        total{{ r }} = fma(total{{ r }}, shrink{{ r }}, dot(p{{ r }}, vec4<f32>(1.0)));
        weights[(ty + {{ 16 * r }}u) * 9u + tx] = p{{ r }};
//% for c in range(slabs * own)
        o{{ r }}_{{ c }} *= shrink{{ r }};
//% endfor
//% endfor
//% for s in range(slabs)
//% if s > 0
        workgroupBarrier();
//% endif
{{ stage("v", s, "r") -}}
        workgroupBarrier();
        for (var i = 0u; i < 8u; i++) {
//% for r in range(rows)
            let w{{ r }} = weights[(ty + {{ 16 * r }}u) * 9u + i];
//% endfor
//% for c in range(own)
//% set chunk = "min(tx + " ~ 8 * c ~ "u, SLAB - 1u)" if 8 * c + 8 > slab4 else "tx + " ~ 8 * c ~ "u"
            let at{{ c }} = i * (4u * PITCH) + {{ chunk }};
//% for x in range(4)
            let v{{ c }}_{{ x }} = vec4<f32>(tile[at{{ c }} + {{ x }}u * PITCH]);
//% for r in range(rows)
            o{{ r }}_{{ s * own + c }} = fma(vec4<f32>(w{{ r }}.{{ "xyzw"[x] }}), v{{ c }}_{{ x }}, o{{ r }}_{{ s * own + c }});
//% endfor
//% endfor
//% endfor
        }
//% endfor
    }

    // Each invocation has summed its own keys; totals are added in the order of tx.
    workgroupBarrier();
//% for r in range(rows)
    exchange[(ty + {{ 16 * r }}u) * 8u + tx] = total{{ r }};
//% endfor
    workgroupBarrier();
//% for r in range(rows)
    if (row{{ r }} < params.sq) {
        var sum = 0.0;
        for (var i = 0u; i < 8u; i++) { sum += exchange[(ty + {{ 16 * r }}u) * 8u + i]; }
//% for s in range(slabs)
//% for c in range(own)
        if (tx + {{ 8 * c }}u < SLAB) {
            store((group.z * params.sq + row{{ r }}) * params.heads * params.units + head, {{ s * slab4 + 8 * c }}u + tx, o{{ r }}_{{ s * own + c }} / sum);
        }
//% endfor
//% endfor
    }
//% endfor
}
