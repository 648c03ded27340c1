// For matrix units (Dawn): f16 operands, f32 accumulators, 16 x 16 x 16 products.
//
// A workgroup makes BM x BN results from slices of BK staged in workgroup memory as 16-byte words; a
// subgroup of 32 makes WM x WN of them. While a slice is multiplied, the next one is on its way in
// registers. Rows in workgroup memory are padded by 16 bytes against bank conflicts. Results leave
// through workgroup memory, 16 rows of a subgroup at a time, since accumulators have no element access.
//
// Workgroup memory: 16 * max(BM * LA + BK * LB, subgroups * 16 * EP) bytes.
// Limits: channels and weight columns multiples of 8, f16 only, subgroups of 32.
//% set subgroups = (bm // wm) * (bn // wn)
//% set threads = subgroups * 32
//% set fm = wm // 16
//% set fn = wn // 16
//% set la = (bk + 8) // 8
//% set lb = (bn + 8) // 8
//% set ep = (wn + 8) // 4
//% set a_loads = bm * bk // 8 // threads
//% set b_loads = bn * bk // 8 // threads
//% set words = [bm * la + bk * lb, subgroups * 16 * ep] | max
//% include "gemm/operands.wgsl"

const BM = {{ bm }}u;
const BN = {{ bn }}u;
const BK = {{ bk }}u;
const LA = {{ la }}u;
const LB = {{ lb }}u;
const EP = {{ ep }}u;
const A_WORDS = {{ bm * la }}u;
const ROW_GROUP = 8u;

var<workgroup> tile: array<vec4<u32>, {{ words }}>;

// First weight column, in units of 8, of a block's local 8-column chunk; NONE past the end.
fn chunk_column(block: u32, chunk: u32) -> u32 {
//% if activation == "geglu"
    let half = {{ wn // 16 }}u;
    let j = chunk % (2u * half);
    let n = block * (BN / 16u) + chunk / (2u * half) * half + j % half;
    return select(select(n, n + params.n / 8u, j >= half), NONE, n >= params.n / 8u);
//% else
    let n = block * (BN / 8u) + chunk;
    return select(n, NONE, n >= params.n / 8u);
//% endif
}

@compute @workgroup_size({{ threads }})
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    // Groups of tile rows walk over the columns together, so that weights stay in the cache.
    let index = group.x + group.y * 65535u;
    let tiles_m = (params.m + BM - 1u) / BM;
    let out_width = {{ "BN / 2u" if activation == "geglu" else "BN" }};
    let tiles_n = (params.n + out_width - 1u) / out_width;
    if (index >= tiles_m * tiles_n) { return; }
    let first = index / (ROW_GROUP * tiles_n) * ROW_GROUP;
    let high = min(ROW_GROUP, tiles_m - first);
    let inner = index % (ROW_GROUP * tiles_n);
    let m0 = (first + inner % high) * BM;
    let block = inner / high;
    let columns8 = params.n / 8u * {{ "2u" if activation == "geglu" else "1u" }};
    let wm = subgroup % {{ bm // wm }}u * {{ wm }}u;
    let wn = subgroup / {{ bm // wm }}u * {{ wn }}u;

//% for i in range(a_loads)
    let ra{{ i }} = (t + {{ i * threads }}u) / (BK / 8u);
    let ka{{ i }} = (t + {{ i * threads }}u) % (BK / 8u) * 8u;
    let row{{ i }} = row_of(min(m0 + ra{{ i }}, params.m - 1u));
    var start{{ i }} = segment_offset(0u, row{{ i }});
    var va{{ i }} = vec4<u32>();
//% endfor
//% for i in range(b_loads)
    let kb{{ i }} = (t + {{ i * threads }}u) / (BN / 8u);
    let cb{{ i }} = (t + {{ i * threads }}u) % (BN / 8u);
    let column{{ i }} = chunk_column(block, cb{{ i }});
    var vb{{ i }} = vec4<u32>();
//% endfor
//% for i in range(fm)
//% for j in range(fn)
    var c{{ i }}_{{ j }}: subgroup_matrix_result<f32, 16, 16>;
//% endfor
//% endfor

//% macro load(source)
//% for i in range(a_loads)
            va{{ i }} = vec4<u32>();
            if (start{{ i }} != NONE && c + ka{{ i }} < length) {
                va{{ i }} = {{ source }}[(start{{ i }} + c + ka{{ i }}) / 8u];
            }
//% endfor
//% endmacro
    var s = 0u;
    var c = 0u;
    var k = 0u;
    var length = segment_length(0u);
    var pending = true;
    var staged = false;
    while (pending || staged) {
        // Slice in registers goes to workgroup memory once everybody is done with the last one.
        workgroupBarrier();
        if (staged) {
//% for i in range(a_loads)
            tile[ra{{ i }} * LA + ka{{ i }} / 8u] = va{{ i }};
//% endfor
//% for i in range(b_loads)
            tile[A_WORDS + kb{{ i }} * LB + cb{{ i }}] = vb{{ i }};
//% endfor
        }
        workgroupBarrier();
        let ready = staged;
        staged = pending;
        if (pending) {
//% if two
            if (segment_source(s) == 0u) {
{{ load("x") }}
            } else {
{{ load("x2") }}
            }
//% else
{{ load("x") }}
//% endif
//% for i in range(b_loads)
            vb{{ i }} = vec4<u32>();
            if (column{{ i }} != NONE && c + kb{{ i }} < length) {
                vb{{ i }} = w[(k + c + kb{{ i }}) * columns8 + column{{ i }}];
            }
//% endfor
            c += BK;
            if (c >= length) {
                c = 0u;
                k += length;
                s++;
                pending = s < segments();
                if (pending) {
                    length = segment_length(s);
//% for i in range(a_loads)
                    start{{ i }} = segment_offset(s, row{{ i }});
//% endfor
                }
            }
        }
        if (ready) {
//% for kk in range(0, bk, 16)
            {
//% for i in range(fm)
                let a{{ i }} = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&tile, (wm + {{ 16 * i }}u) * LA + {{ kk // 8 }}u, LA);
//% endfor
//% for j in range(fn)
                let b{{ j }} = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&tile, A_WORDS + {{ kk * lb }}u + wn / 8u + {{ 2 * j }}u, LB);
//% for i in range(fm)
                c{{ i }}_{{ j }} = subgroupMatrixMultiplyAccumulate(a{{ i }}, b{{ j }}, c{{ i }}_{{ j }});
//% endfor
//% endfor
            }
//% endfor
        }
    }

    let stage = subgroup * {{ 16 * ep }}u;
    let n4 = params.n / 4u;
//% set wide = wn // 8 if activation == "geglu" else wn // 4
//% for i in range(fm)
    workgroupBarrier();
//% for j in range(fn)
    subgroupMatrixStore<row_major>(&tile, stage + {{ 4 * j }}u, c{{ i }}_{{ j }}, EP);
//% endfor
    workgroupBarrier();
    for (var e = lane; e < {{ 16 * wide }}u; e += 32u) {
        let r = e / {{ wide }}u;
        let j = e % {{ wide }}u;
        let m = m0 + wm + {{ 16 * i }}u + r;
        let n8 = chunk_column(block, wn / 8u + j / 2u);
        if (m < params.m && n8 != NONE) {
            let n = n8 * 2u + j % 2u;
            let value = bitcast<vec4<f32>>(tile[stage + r * EP + j]);
//% if activation == "geglu"
            let gate = bitcast<vec4<f32>>(tile[stage + r * EP + j + {{ wide }}u]);
            let opened = activate(biased(gate, m, n + n4, 2u * n4));
            store(biased(value, m, n, 2u * n4) * opened, m, n, n4);
//% else
            store(activate(biased(value, m, n, n4)), m, n, n4);
//% endif
        }
    }
//% endfor
}
