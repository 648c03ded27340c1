// For software renderers with subgroups: an invocation makes ROWS rows of {{ 4 * quads }} columns; the subgroup's
// invocations share the rows and stand side by side in the columns.
//
// A load costs as much whether lanes share its address or not, and a broadcast from a constant lane
// is next to free: so each lane loads {{ rows // lanes }} rows of its own a step, and the rows are handed round.
// Weights cost {{ quads }} wide loads a step. No barrier, no workgroup memory; the loop stays rolled, since
// unrolled bodies make the compiler spill. Measured (llvmpipe, a core): 24 GFLOP/s with 16 rows of 8
// columns, against 13.5 of cpu.wgsl, where each lane loads all that it multiplies.
//
// Weights in Q8_0 are expanded here: a load has those of four steps, which makes up for the arithmetic. The
// four are unrolled, or selecting a byte costs as much as the load.
//
// Limits: N a multiple of 4; workgroups of one subgroup ({{ lanes }}). GEGLU: 4 value columns and their gates.
enable subgroups;
//% from "matmul/quantized/reading.wgsl" import weight with context
//% include "matmul/gemm/operands.wgsl"

const LANES = {{ lanes }}u;
const ROWS = {{ rows }}u;

@compute @workgroup_size({{ lanes }})
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
//% if batched
    batch = group.z;
//% endif
    let tile = group.x + group.y * 65535u;
    let n4 = params.n / 4u;
//% if activation == "geglu"
    let across = (n4 + LANES - 1u) / LANES;
    let first = tile % across * LANES + lane;
    let pitch = 2u * n4;
    let column0 = min(first, n4 - 1u);
    let column1 = column0 + n4;
//% else
    let across = (n4 + {{ quads }}u * LANES - 1u) / ({{ quads }}u * LANES);
    let first = (tile % across * LANES + lane) * {{ quads }}u;
    let pitch = n4;
//% for j in range(quads)
    let column{{ j }} = min(first + {{ j }}u, n4 - 1u);
//% endfor
//% endif
    let m0 = tile / across * ROWS;
    if (m0 >= params.m) { return; }
    let last = params.m - 1u;
//% for i in range(rows // lanes)
    let row{{ i }} = row_of(min(m0 + {{ i }}u * LANES + lane, last));
//% endfor
//% for i in range(rows)
//% for j in range(quads)
    var c{{ i }}_{{ j }} = vec4<f32>();
//% endfor
//% endfor
//% set bytes = q_format is defined and q_format == "q8_0" and not q_flat and source == "matmul/gemm/rows.wgsl"
//% macro multiply_add(source)
//% for i in range(rows // lanes)
//% if masked
            let a{{ i }} = select(0.0, f32({{ source }}[start{{ i }} + c]), inside{{ i }});
//% else
            let a{{ i }} = f32({{ source }}[start{{ i }} + c]);
//% endif
//% endfor
//% for i in range(rows)
            let v{{ i }} = vec4<f32>(subgroupBroadcast(a{{ i // lanes }}, {{ i % lanes }}u));
//% for j in range(quads)
            c{{ i }}_{{ j }} = fma(v{{ i }}, b{{ j }}, c{{ i }}_{{ j }});
//% endfor
//% endfor
//% endmacro
//% macro channels(source)
//% if bytes
        for (var block = 0u; block < length; block += 32u) {
//% for j in range(quads)
            let factor{{ j }} = q_factor(block / 32u, column{{ j }});
//% endfor
            for (var four = block; four < block + 32u; four += 4u) {
//% for j in range(quads)
                let word{{ j }} = q_word(four / 4u, column{{ j }});
//% endfor
//% for e in range(4)
                {
                    let c = four + {{ e }}u;
//% for j in range(quads)
                    let weight{{ j }} = factor{{ j }} * q_signed(word{{ j }} >> QU({{ 8 * e }}u));
//% if scalar == "f16"
                    let b{{ j }} = q_rounded(weight{{ j }});
//% else
                    let b{{ j }} = weight{{ j }};
//% endif
//% endfor
{{ multiply_add(source) }}
                }
//% endfor
            }
        }
//% else
        for (var c = 0u; c < length; c++) {
            let at = (k + c) * pitch;
//% for j in range(quads)
            let b{{ j }} = vec4<f32>({{ weight("at + column%d" % j) | trim }});
//% endfor
{{ multiply_add(source) }}
        }
//% endif
//% endmacro
//% if batched
    var k = batch * depth();
//% else
    var k = 0u;
//% endif
    for (var s = 0u; s < segments(); s++) {
        let length = segment_length(s);
//% for i in range(rows // lanes)
        let offset{{ i }} = segment_offset(s, row{{ i }});
//% if masked
        let inside{{ i }} = offset{{ i }} != NONE;
        let start{{ i }} = select(0u, offset{{ i }}, inside{{ i }});
//% else
        let start{{ i }} = offset{{ i }};
//% endif
//% endfor
//% if two
        if (segment_source(s) == 0u) {
{{ channels("x") }}
        } else {
{{ channels("x2") }}
        }
//% else
{{ channels("x") }}
//% endif
        k += length;
    }
    if (first >= n4) { return; }
    // The epilogue is a loop over what was summed up: unrolled, it would take most of the compile time.
    var sums = array<vec4<f32>, {{ rows * quads }}>(
//% for i in range(rows)
//% for j in range(quads)
        c{{ i }}_{{ j }},
//% endfor
//% endfor
    );
//% if quads == 1
    // Mesa would unroll this one, if it knew how often it turns and that it passes along an array.
    let end = min(m0 + ROWS, params.m);
    for (var i = 0u; m0 + i < end; i++) {
        store(activate(biased(sums[i & (ROWS - 1u)], m0 + i, first, pitch)), m0 + i, first, n4);
    }
//% else
    for (var i = 0u; i < min(ROWS, params.m - m0); i++) {
//% if activation == "geglu"
        let value = biased(sums[2u * i], m0 + i, column0, pitch);
        let gate = biased(sums[2u * i + 1u], m0 + i, column1, pitch);
        store(value * activate(gate), m0 + i, column0, n4);
//% else
        for (var j = 0u; j < min({{ quads }}u, n4 - first); j++) {
            let sum = biased(sums[i * {{ quads }}u + j], m0 + i, first + j, pitch);
            store(activate(sum), m0 + i, first + j, n4);
        }
//% endif
    }
//% endif
}
