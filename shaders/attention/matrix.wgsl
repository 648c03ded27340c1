// Flash attention on matrix units (Dawn): f16 in, f32 scores and results, 16 x 16 x 16 products.
//
// A workgroup of {{ subgroups }} subgroups of 32 makes {{ subgroups }} * ROWS rows of one head; a subgroup owns ROWS of them whole,
// Q and the results stay in its matrices. For each block of {{ keys }} keys: S = Q K^T goes to workgroup memory,
// where {{ "one invocation" if fq == 2 else "a pair of invocations" }} a row makes the weights, which go back as f16 to be the left operand of the product
// with V. The next blocks of K and V are on their way in registers meanwhile. The weights lie where
// their scores were: of a pair of invocations, each writes over scores of its own in steps of 32 keys;
// in shorter ones the exchange of their maxima comes before.
// Matrices have no element access, so a rescaling of the results costs a trip through workgroup memory.
// It is therefore lazy (as in FlashAttention-4): the maximum that weights refer to is raised only when a
// row exceeds it by more than 2^8, since weights up to 256 are as exact in f16 as weights up to 1.
// Where the last fragment has channels to spare, one of V's holds 1, so that the sum of the weights is a
// column of the results.
//
// Rows of K, V, of `scores` ({{ keys }} f32) and of weights have an odd number of 16-byte words: no bank
// conflicts. Where a row of K ends in half a fragment, the rest of it is the next row, times zeros of Q: an
// infinity or a NaN makes that of the key before it NaN, too. The padding of scores tells of rescaling.
// Grid: row blocks, heads, batch.
// Workgroup memory: the arrays below; what runs side by side shares 48 KiB on an H200.
// Limits: f16, D a multiple of 8 up to 160, subgroups of 32.
//% set frags = (head + 15) // 16
//% set spare = head % 16 == 8
//% set words = head // 8
//% set kp = [words + 1 - words % 2, 3] | max
//% set vp = words + 1 + head // 8 % 2
//% set zero = 1 if spare and words > 1 else 0
//% set threads = 32 * subgroups
//% set loads = (keys * words + threads - 1) // threads
//% set ragged = keys * words % threads != 0
//% set lanes = 2 // fq
//% set blocks = keys // 16
//% set quads = keys // 4 // lanes
//% set sp = keys // 4 + 1
//% set halved = lanes == 2 and blocks == 2
//% include "attention/operands.wgsl"

const WORDS = {{ words }}u;
const KP = {{ kp }}u;
const VP = {{ vp }}u;
const ROWS = {{ 16 * fq }}u;
const BQ = {{ subgroups }}u * ROWS;
const KEYS = {{ keys }}u;
const V = {{ keys * kp + zero }}u;
const SP = {{ sp }}u;
const SLACK = 8.0;

// A block of K{{ ", a word of zeros" if zero }}, and one of V from word V on{{ ", whose last row needs no padding" if zero }}.
var<workgroup> tiles: array<vec4<u32>, {{ keys * (kp + vp) }}>;
// The last row needs no padding.
var<workgroup> scores: array<vec4<u32>, BQ * SP - 1u>;

fn halves(a: vec4<f32>, b: vec4<f32>) -> vec4<u32> {
    return vec4<u32>(
        pack2x16float(a.xy), pack2x16float(a.zw), pack2x16float(b.xy), pack2x16float(b.zw),
    );
}

@compute @workgroup_size({{ threads }})
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    let first = group.x * BQ;
    let q_base = group.z * params.sq * params.q_pitch + params.q_first + group.y * WORDS;
    let k_base = group.z * params.sk * params.k_pitch + params.k_first + group.y * WORDS;
    let v_base = group.z * params.sk * params.v_pitch + params.v_first + group.y * WORDS;
    let last = params.sk - 1u;

    // Part of `scores` that is this subgroup's; the row there, and the quads of keys in it, that are
    // this invocation's.
    let slice = subgroup * (ROWS * SP);
//% if lanes == 2
    let own = lane / 2u;
    let side = lane % 2u;
//% else
    let own = lane;
    let side = 0u;
//% endif
    let mine = slice + own * SP;
    let row = first + subgroup * ROWS + own;
    let seen = min(last, row | params.open);
    var high = MASKED;
    var total = 0.0;

    // Q comes in slabs of {{ 2 * keys }} channels.
//% for f in range(frags)
//% set slab = 2 * blocks
//% if f % slab == 0
//% if f
    workgroupBarrier();
//% endif
    for (var e = t; e < BQ * {{ 2 * slab }}u; e += {{ threads }}u) {
        let word = {{ 2 * f }}u + e % {{ 2 * slab }}u;
        var x = vec4<u32>();
        if (word < WORDS) { x = q[q_base + min(first + e / {{ 2 * slab }}u, params.sq - 1u) * params.q_pitch + word]; }
        scores[e / {{ 2 * slab }}u * SP + e % {{ 2 * slab }}u] = x;
    }
    workgroupBarrier();
//% endif
//% for i in range(fq)
    let q{{ i }}_{{ f }} = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&scores, slice + {{ 16 * i }}u * SP + {{ f % slab * 2 }}u, SP);
    var o{{ i }}_{{ f }}: subgroup_matrix_result<f32, 16, 16>;
//% endfor
//% endfor

    // This invocation's words of a block of K or V.
//% for i in range(loads)
    let e{{ i }} = t + {{ threads * i }}u;
    let r{{ i }} = e{{ i }} / WORDS;
    let w{{ i }} = e{{ i }} % WORDS;
    var k{{ i }} = vec4<u32>();
    var v{{ i }} = vec4<u32>();
//% endfor
//% macro fetch(name, block)
//% for i in range(loads)
        {{ "if (e%d < KEYS * WORDS) { " % i if ragged and loop.last }}{{ name }}{{ i }} = {{ name }}[{{ name }}_base + min({{ block }} + r{{ i }}, last) * params.{{ name }}_pitch + w{{ i }}];{{ " }" if ragged and loop.last }}
//% endfor
//% endmacro
//% macro put(name, first, pitch)
//% for i in range(loads)
        {{ "if (e%d < KEYS * WORDS) { " % i if ragged and loop.last }}tiles[{{ first }}r{{ i }} * {{ pitch }} + w{{ i }}] = {{ name }}{{ i }};{{ " }" if ragged and loop.last }}
//% endfor
//% endmacro

//% macro score()
//% for n in range(blocks)
//% for i in range(fq)
        var s{{ i }}_{{ n }} = subgroup_matrix_result<f32, 16, 16>();
//% endfor
//% for f in range(frags)
        let k{{ n }}_{{ f }} = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&tiles, {{ 16 * n }}u * KP + {{ 2 * f }}u, KP);
//% for i in range(fq)
        s{{ i }}_{{ n }} = subgroupMatrixMultiplyAccumulate(q{{ i }}_{{ f }}, k{{ n }}_{{ f }}, s{{ i }}_{{ n }});
//% endfor
//% endfor
//% endfor
//% endmacro
//% macro store_scores()
//% for n in range(blocks)
//% for i in range(fq)
        subgroupMatrixStore<row_major>(&scores, slice + {{ 16 * i }}u * SP + {{ 4 * n }}u, s{{ i }}_{{ n }}, SP);
//% endfor
//% endfor
//% endmacro
//% macro load_scores()
//% for w in range(quads)
        var a{{ w }} = bitcast<vec4<f32>>(scores[mine + side * {{ quads }}u + {{ w }}u]);
//% endfor
//% endmacro

//% macro store_weights()
//% for w in range(quads // 2)
        scores[mine + side * {{ quads if halved else quads // 2 }}u + {{ w }}u] = weights{{ w }};
//% endfor
//% endmacro
//% macro load_weights()
//% for n in range(blocks)
//% for i in range(fq)
        let p{{ i }}_{{ n }} = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&scores, slice + {{ 16 * i }}u * SP + {{ (quads if halved else 2) * n }}u, SP);
//% endfor
//% endfor
//% endmacro
//% macro gather()
//% for n in range(blocks)
//% for f in range(frags)
        let v{{ n }}_{{ f }} = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&tiles, V + {{ 16 * n }}u * VP + {{ 2 * f }}u, VP);
//% for i in range(fq)
        o{{ i }}_{{ f }} = subgroupMatrixMultiplyAccumulate(p{{ i }}_{{ n }}, v{{ n }}_{{ f }}, o{{ i }}_{{ f }});
//% endfor
//% endfor
//% endfor
//% endmacro

//% macro weigh()
        if (t == 0u) { scores[(2u - turn) * SP - 1u] = vec4<u32>(); }
        if (j + KEYS > min(params.sk, (first + subgroup * ROWS + 1u) | params.open)) {
            let key = vec4<u32>(j + side * {{ 4 * quads }}u) + vec4<u32>(0u, 1u, 2u, 3u);
//% for w in range(quads)
            a{{ w }} = select(a{{ w }}, vec4<f32>(MASKED), key + vec4<u32>({{ 4 * w }}u) > vec4<u32>(seen));
//% endfor
        }
        var most = a0;
//% for w in range(1, quads)
        most = max(most, a{{ w }});
//% endfor
        var top = max(max(most.x, most.y), max(most.z, most.w)) * params.scale;
//% if lanes == 2
        top = max(top, subgroupShuffleXor(top, 1u));
//% endif
        var factor = 1.0;
        if (top > high + SLACK) {
            factor = exp2(high - top);
            high = top;
//% if not spare
            total *= factor;
//% endif
            // Before the first block the results are zero. All writers write the same.
            if (j > 0u) { scores[(1u + turn) * SP - 1u] = vec4<u32>(1u); }
        }
//% for w in range(0, quads, 2)
        let p{{ w }} = exp2(fma(a{{ w }}, vec4<f32>(params.scale), vec4<f32>(-high)));
        let p{{ w + 1 }} = exp2(fma(a{{ w + 1 }}, vec4<f32>(params.scale), vec4<f32>(-high)));
//% if not spare
        total += dot(p{{ w }} + p{{ w + 1 }}, vec4<f32>(1.0));
//% endif
        let weights{{ w // 2 }} = halves(p{{ w }}, p{{ w + 1 }});
//% endfor
{{ store_weights() }}
//% endmacro
//% macro rescale()
//% for piece in range(0, frags, blocks)
//% set here = [blocks, frags - piece] | min
//% for f in range(here)
//% for i in range(fq)
            subgroupMatrixStore<row_major>(&scores, slice + {{ 16 * i }}u * SP + {{ 4 * f }}u, o{{ i }}_{{ piece + f }}, SP);
//% endfor
//% endfor
            workgroupBarrier();
            for (var w = side; w < {{ 4 * here }}u; w += {{ lanes }}u) {
                let x = bitcast<vec4<f32>>(scores[mine + w]) * factor;
                scores[mine + w] = bitcast<vec4<u32>>(x);
            }
            workgroupBarrier();
//% for f in range(here)
//% for i in range(fq)
            o{{ i }}_{{ piece + f }} = subgroupMatrixLoad<subgroup_matrix_result<f32, 16, 16>, row_major>(&scores, slice + {{ 16 * i }}u * SP + {{ 4 * f }}u, SP);
//% endfor
//% endfor
            workgroupBarrier();
//% endfor
            // The weights lay there.
{{ store_weights() }}
            workgroupBarrier();
//% endmacro

//% if spare
    for (var r = t; r < KEYS; r += {{ threads }}u) { tiles[V + r * VP + WORDS] = vec4<u32>(0x3C00u, 0u, 0u, 0u); }
//% endif
//% if zero
    // What the last row of K ends in.
    if (t == 0u) { tiles[V - 1u] = vec4<u32>(); }
//% elif words == 1
    for (var e = t; e < V; e += {{ threads }}u) { tiles[e] = vec4<u32>(); }
    workgroupBarrier();
//% endif
{{ fetch("k", "0u") }}
{{ put("k", "", "KP") }}
    if (t < 2u) { scores[(1u + t) * SP - 1u] = vec4<u32>(); }
    let end = min(params.sk, (first + BQ) | params.open);
    var turn = 0u;
    workgroupBarrier();
    for (var j = 0u; j < end; j += KEYS) {
{{ fetch("k", "j + KEYS") }}
{{ fetch("v", "j") }}
{{ score() }}
        // From here on nobody reads the weights of the last block.
        workgroupBarrier();
{{ store_scores() }}
        // Nor K of this block, nor V of the last.
        workgroupBarrier();
{{ put("k", "", "KP") }}
{{ put("v", "V + ", "VP") }}
{{ load_scores() }}
{{ weigh() }}
        if (workgroupUniformLoad(&scores[(1u + turn) * SP - 1u]).x != 0u) {
{{ rescale() }}
        }
        turn = 1u - turn;
{{ load_weights() }}
{{ gather() }}
    }

//% if lanes == 2 and not spare
    total += subgroupShuffleXor(total, 1u);
//% endif
    let out = (group.z * params.sq + row) * params.heads * WORDS + group.y * WORDS;
    // The last piece first: it may hold the sums of the weights.
//% for piece in range(0, frags, blocks) | reverse
//% set here = [blocks, frags - piece] | min
    workgroupBarrier();
//% for f in range(here)
//% for i in range(fq)
    subgroupMatrixStore<row_major>(&scores, slice + {{ 16 * i }}u * SP + {{ 4 * f }}u, o{{ i }}_{{ piece + f }}, SP);
//% endfor
//% endfor
    workgroupBarrier();
//% if loop.first
//% if spare
    total = bitcast<vec4<f32>>(scores[mine + {{ 4 * here - 2 }}u]).x;
//% endif
    let weight = 1.0 / total;
//% endif
    if (row < params.sq) {
        for (var w = side; w < {{ 2 * here }}u; w += {{ lanes }}u) {
            if ({{ 2 * piece }}u + w < WORDS) {
                let a = bitcast<vec4<f32>>(scores[mine + 2u * w]) * weight;
                let b = bitcast<vec4<f32>>(scores[mine + 2u * w + 1u]) * weight;
                y[out + {{ 2 * piece }}u + w] = halves(a, b);
            }
        }
    }
//% endfor
}
