// For any GPU: a block of BM x BN results a workgroup, TM x TN an invocation, both operands staged
// through workgroup memory in slices of BK, multiplied in f32 whatever the storage type.
//
// Memory: as in gemm/operands.wgsl; (BM + BN) * BK * 4 bytes of workgroup memory. Limits: none but the
// device's. GEGLU: an invocation's first TN / 2 columns are values,
// the others their gates.
//% include "gemm/operands.wgsl"

const BM = {{ bm }}u;
const BN = {{ bn }}u;
const BK = {{ bk }}u;
const TM = {{ tm }}u;
const TN = {{ tn }}u;
const THREADS = {{ threads }}u;

var<workgroup> a_tile: array<f32, {{ bm * bk }}>;
var<workgroup> b_tile: array<f32, {{ bn * bk }}>;

// Weight column of a block's local column, or NONE past the end.
fn column(block: u32, local: u32) -> u32 {
//% if activation == "geglu"
    let half = TN / 2u;
    let j = local % TN;
    let n = block * (BN / 2u) + local / TN * half + j % half;
    return select(select(n, n + params.n, j >= half), NONE, n >= params.n);
//% else
    let n = block * BN + local;
    return select(n, NONE, n >= params.n);
//% endif
}

@compute @workgroup_size({{ threads }})
fn main(
    @builtin(workgroup_id) block: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let m0 = block.x * BM;
    let columns = params.n * {{ "2u" if activation == "geglu" else "1u" }};
    let ty = t / (BN / TN);
    let tx = t % (BN / TN);
//% for i in range(bm * bk // threads)
    let row{{ i }} = row_of(min(m0 + (t + {{ i * threads }}u) / BK, params.m - 1u));
//% endfor
//% for i in range(bn * bk // threads)
    let column{{ i }} = column(block.y, (t + {{ i * threads }}u) % BN);
//% endfor
//% for i in range(tm)
//% for j in range(tn)
    var c{{ i }}_{{ j }} = 0.0;
//% endfor
//% endfor
    var k = 0u;
    for (var s = 0u; s < segments(); s++) {
        let length = segment_length(s);
//% for i in range(bm * bk // threads)
        let start{{ i }} = segment_offset(s, row{{ i }});
//% endfor
        for (var c = 0u; c < length; c += BK) {
            workgroupBarrier();
//% for i in range(bm * bk // threads)
            {
                let e = t + {{ i * threads }}u;
                let at = c + e % BK;
                var value = 0.0;
                if (start{{ i }} != NONE && at < length) {
//% if two
                    if (segment_source(s) == 0u) {
                        value = f32(x[start{{ i }} + at]);
                    } else {
                        value = f32(x2[start{{ i }} + at]);
                    }
//% else
                    value = f32(x[start{{ i }} + at]);
//% endif
                }
                a_tile[e % BK * BM + e / BK] = value;
            }
//% endfor
//% for i in range(bn * bk // threads)
            {
                let e = t + {{ i * threads }}u;
                let at = c + e / BN;
                var value = 0.0;
                if (column{{ i }} != NONE && at < length) {
                    value = f32(w[(k + at) * columns + column{{ i }}]);
                }
                b_tile[e] = value;
            }
//% endfor
            workgroupBarrier();
            for (var kk = 0u; kk < BK; kk++) {
//% for i in range(tm)
                let a{{ i }} = a_tile[kk * BM + ty * TM + {{ i }}u];
//% endfor
//% for j in range(tn)
                let b{{ j }} = b_tile[kk * BN + tx * TN + {{ j }}u];
//% endfor
//% for i in range(tm)
//% for j in range(tn)
                c{{ i }}_{{ j }} = fma(a{{ i }}, b{{ j }}, c{{ i }}_{{ j }});
//% endfor
//% endfor
            }
        }
        k += length;
    }
//% for i in range(tm)
    if (m0 + ty * TM + {{ i }}u < params.m) {
        let m = m0 + ty * TM + {{ i }}u;
//% for j in range(tn // 2 if activation == "geglu" else tn)
        {
            let n = column(block.y, tx * TN + {{ j }}u);
            if (n != NONE) {
//% if activation == "geglu"
                let gate = biased(c{{ i }}_{{ j + tn // 2 }}, m, n + params.n, columns);
                store(biased(c{{ i }}_{{ j }}, m, n, columns) * activate(gate), m, n, params.n);
//% else
                store(activate(biased(c{{ i }}_{{ j }}, m, n, columns)), m, n, params.n);
//% endif
            }
        }
//% endfor
    }
//% endfor
}
