// For software renderers: 8 x 8 results an invocation in named registers, no barrier, no workgroup
// memory. There a load costs twelve multiply-adds an element, so reuse is all that counts; the loop
// over channels stays small, since unrolled bodies make the compiler spill.
//
// Limits: N a multiple of 4. GEGLU takes 4 value columns and their 4 gates.
//% set rows = range(8)
//% from "matmul/quantized/reading.wgsl" import weight with context
//% include "matmul/gemm/operands.wgsl"

@compute @workgroup_size(16)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
//% if batched
    batch = id.z;
//% endif
    let tile = id.x + id.y * (65535u * 16u);
//% if activation == "geglu"
    let width = 4u;
//% else
    let width = 8u;
//% endif
    let across = (params.n + width - 1u) / width;
    let m0 = tile / across * 8u;
    let n0 = tile % across * width;
    if (m0 >= params.m) { return; }
    let last = params.m - 1u;
    let n4 = params.n / 4u;
    let left = n0 / 4u;
//% if activation == "geglu"
    let pitch = 2u * n4;
    let right = left + n4;
//% else
    let pitch = n4;
    let right = min(left + 1u, n4 - 1u);
//% endif
//% for i in rows
    let row{{ i }} = row_of(min(m0 + {{ i }}u, last));
    var p{{ i }} = vec4<f32>();
    var q{{ i }} = vec4<f32>();
//% endfor
//% if batched
    var k = batch * depth();
//% else
    var k = 0u;
//% endif
    for (var s = 0u; s < segments(); s++) {
        let length = segment_length(s);
//% for i in rows
        let offset{{ i }} = segment_offset(s, row{{ i }});
//% if masked
        let inside{{ i }} = offset{{ i }} != NONE;
        let start{{ i }} = select(0u, offset{{ i }}, inside{{ i }});
//% endif
//% endfor
//% macro channels(source)
        for (var c = 0u; c < length; c++) {
            let at = (k + c) * pitch;
            let u = vec4<f32>({{ weight("at + left") | trim }});
            let v = vec4<f32>({{ weight("at + right") | trim }});
//% for i in rows
//% if masked
            let a{{ i }} = vec4<f32>(select(0.0, f32({{ source }}[start{{ i }} + c]), inside{{ i }}));
//% else
            let a{{ i }} = vec4<f32>(f32({{ source }}[offset{{ i }} + c]));
//% endif
            p{{ i }} = fma(a{{ i }}, u, p{{ i }});
            q{{ i }} = fma(a{{ i }}, v, q{{ i }});
//% endfor
        }
//% endmacro
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
    // The epilogue is a loop over what was summed up: unrolled, it would take most of the compile time.
    var sums = array<vec4<f32>, {{ 2 * rows | length }}>(
//% for i in rows
        p{{ i }}, q{{ i }},
//% endfor
    );
    // Mesa would unroll it, if it knew how often it turns and that it passes along an array.
    let end = min(m0 + {{ rows | length }}u, params.m);
    for (var e = 0u; m0 + e / 2u < end; e++) {
        let m = m0 + e / 2u;
        let sum = sums[e & {{ 2 * rows | length - 1 }}u];
//% if activation == "geglu"
        if (e % 2u == 0u) {
            let gate = sums[(e + 1u) & {{ 2 * rows | length - 1 }}u];
            store(biased(sum, m, left, pitch) * activate(biased(gate, m, right, pitch)), m, left, n4);
        }
//% else
        let n = left + e % 2u;
        if (n < n4) { store(activate(biased(sum, m, n, pitch)), m, n, n4); }
//% endif
    }
}
