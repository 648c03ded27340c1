// Flash attention on matrix units (Dawn): f16 in, f32 scores and results, 16 x 16 x 16 products.
//
// A workgroup of {{ subgroups }} subgroups of 32 makes {{ subgroups }} * ROWS rows of one head; a subgroup owns ROWS of them whole,
// Q and the results stay in its matrices. For each block of {{ keys }} keys: S = Q K^T goes to workgroup memory,
// where {{ "one invocation" if fq == 2 else "a pair of invocations" }} a row makes the weights, which go back as f16 to be the left operand of the product
// with V. The next blocks of K and V are on their way in registers meanwhile. Two forms:
// - With `ahead`, a step makes the weights of one block, the scores of the next and the sums of the one
//   before, none of which waits for another: three barriers a step, but more registers and memory.
// - Else it makes all three of one block; the weights lie where their scores were, so that more
//   workgroups fit: four barriers a step. Of a pair of invocations, each writes over scores of its own
//   in steps of 32 keys; in shorter ones the exchange of their maxima comes before.
// Matrices have no element access, so a rescaling of the results costs a trip through workgroup memory.
// It is therefore lazy (as in FlashAttention-4): the maximum that weights refer to is raised only when a
// row exceeds it by more than 2^8, since weights up to 256 are as exact in f16 as weights up to 1.
//
// K and V rows are zero-padded to {{ 16 * ((head + 15) // 16) }} channels and have an odd number of 16-byte words, as have
// the rows of `scores` ({{ keys }} f32) and of weights: no bank conflicts. Grid: row blocks, heads, batch.
// Workgroup memory: the arrays below, {{ "some 24" if ahead else "up to 16" }} KiB where rows are many.
// Limits: f16, D a multiple of 8 up to 160, subgroups of 32.
//% set frags = (head + 15) // 16
//% set wide = 2 * frags
//% set threads = 32 * subgroups
//% set loads = (keys * wide + threads - 1) // threads
//% set lanes = 2 // fq
//% set blocks = keys // 16
//% set quads = keys // 4 // lanes
//% set sp = keys // 4 + 1
//% set wp = keys // 8 + 1 if ahead else sp
//% set halved = not ahead and lanes == 2 and blocks == 2
//% set tile_words = [2 * keys * (wide + 1), 80 * subgroups if ahead else 0] | max
//% include "attention/operands.wgsl"

const WORDS = {{ head // 8 }}u;
const WIDE = {{ wide }}u;
const PITCH = {{ wide + 1 }}u;
const ROWS = {{ 16 * fq }}u;
const BQ = {{ subgroups }}u * ROWS;
const KEYS = {{ keys }}u;
const V = KEYS * PITCH;
const SP = {{ sp }}u;
const WP = {{ wp }}u;
const SLACK = 8.0;

// A block of K, and one of V from word V on{{ "; or, to be rescaled, results, 5 words a row" if ahead }}.
var<workgroup> tiles: array<vec4<u32>, {{ tile_words }}>;
var<workgroup> scores: array<vec4<u32>, BQ * SP>;
//% if ahead
var<workgroup> weights: array<vec4<u32>, BQ * WP>;
//% set weights = "weights"
//% else
//% set weights = "scores"
//% endif
var<workgroup> grown: array<u32, 2>;

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
    let part = subgroup * (ROWS * WP);
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
    let e{{ i }} = min(t + {{ threads * i }}u, KEYS * WIDE - 1u);
    let r{{ i }} = e{{ i }} / WIDE;
    let w{{ i }} = e{{ i }} % WIDE;
    let to{{ i }} = r{{ i }} * PITCH + w{{ i }};
    var k{{ i }} = vec4<u32>();
    var v{{ i }} = vec4<u32>();
//% endfor
//% macro fetch(name, block)
//% for i in range(loads)
        {{ "if (w%d < WORDS) { " % i if head % 16 }}{{ name }}{{ i }} = {{ name }}[{{ name }}_base + min({{ block }} + r{{ i }}, last) * params.{{ name }}_pitch + w{{ i }}];{{ " }" if head % 16 }}
//% endfor
//% endmacro
//% macro put(name, first)
//% for i in range(loads)
        tiles[{{ first }}to{{ i }}] = {{ name }}{{ i }};
//% endfor
//% endmacro

//% macro score()
//% for n in range(blocks)
//% for i in range(fq)
        var s{{ i }}_{{ n }} = subgroup_matrix_result<f32, 16, 16>();
//% endfor
//% for f in range(frags)
        let k{{ n }}_{{ f }} = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&tiles, {{ 16 * n }}u * PITCH + {{ 2 * f }}u, PITCH);
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
        {{ weights }}[part + own * WP + side * {{ quads if halved else quads // 2 }}u + {{ w }}u] = weights{{ w }};
//% endfor
//% endmacro
//% macro load_weights()
//% for n in range(blocks)
//% for i in range(fq)
        let p{{ i }}_{{ n }} = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&{{ weights }}, part + {{ 16 * i }}u * WP + {{ (quads if halved else 2) * n }}u, WP);
//% endfor
//% endfor
//% endmacro
//% macro gather()
//% for n in range(blocks)
//% for f in range(frags)
        let v{{ n }}_{{ f }} = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&tiles, V + {{ 16 * n }}u * PITCH + {{ 2 * f }}u, PITCH);
//% for i in range(fq)
        o{{ i }}_{{ f }} = subgroupMatrixMultiplyAccumulate(p{{ i }}_{{ n }}, v{{ n }}_{{ f }}, o{{ i }}_{{ f }});
//% endfor
//% endfor
//% endfor
//% endmacro

//% macro weigh()
        if (t == 0u) { grown[1u - turn] = 0u; }
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
            total *= factor;
            // Before the first block the results are zero. All writers write the same.
            if (j > 0u) { grown[turn] = 1u; }
        }
//% for w in range(0, quads, 2)
        let p{{ w }} = exp2(fma(a{{ w }}, vec4<f32>(params.scale), vec4<f32>(-high)));
        let p{{ w + 1 }} = exp2(fma(a{{ w + 1 }}, vec4<f32>(params.scale), vec4<f32>(-high)));
        total += dot(p{{ w }} + p{{ w + 1 }}, vec4<f32>(1.0));
        let weights{{ w // 2 }} = halves(p{{ w }}, p{{ w + 1 }});
//% endfor
{{ store_weights() }}
//% endmacro
//% macro rescale_in_tiles()
//% for f in range(frags)
//% for i in range(fq)
            subgroupMatrixStore<row_major>(&tiles, 80u * subgroup, o{{ i }}_{{ f }}, 5u);
            workgroupBarrier();
            if (own / 16u == {{ i }}u) {
                for (var w = side; w < 4u; w += {{ lanes }}u) {
                    let at = 80u * subgroup + own % 16u * 5u + w;
                    tiles[at] = bitcast<vec4<u32>>(bitcast<vec4<f32>>(tiles[at]) * factor);
                }
            }
            workgroupBarrier();
            o{{ i }}_{{ f }} = subgroupMatrixLoad<subgroup_matrix_result<f32, 16, 16>, row_major>(&tiles, 80u * subgroup, 5u);
            workgroupBarrier();
//% endfor
//% endfor
//% endmacro
//% macro rescale_in_scores()
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

{{ fetch("k", "0u") }}
{{ put("k", "") }}
    if (t < 2u) { grown[t] = 0u; }
    let end = min(params.sk, (first + BQ) | params.open);
    var turn = 0u;
//% if ahead
    // Scores of the first block; weights of none.
    for (var e = t; e < BQ * WP; e += {{ threads }}u) { weights[e] = vec4<u32>(); }
    workgroupBarrier();
{{ fetch("k", "KEYS") }}
    {
{{ score() }}
{{ store_scores() }}
    }
    workgroupBarrier();
    for (var j = 0u; j < end; j += KEYS) {
{{ load_scores() }}
{{ load_weights() }}
{{ put("k", "") }}
{{ put("v", "V + ") }}
        // K of the next block is there, and V of the last; scores and weights may be written again.
        workgroupBarrier();
{{ fetch("k", "j + 2u * KEYS") }}
{{ fetch("v", "j") }}
{{ score() }}
{{ store_scores() }}
{{ gather() }}
{{ weigh() }}
        if (workgroupUniformLoad(&grown[turn]) != 0u) {
{{ rescale_in_tiles() }}
        }
        turn = 1u - turn;
    }
    // The sums of the last block.
{{ load_weights() }}
{{ put("v", "V + ") }}
    workgroupBarrier();
{{ gather() }}
//% else
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
{{ put("k", "") }}
{{ put("v", "V + ") }}
{{ load_scores() }}
{{ weigh() }}
        if (workgroupUniformLoad(&grown[turn]) != 0u) {
{{ rescale_in_scores() }}
        }
        turn = 1u - turn;
{{ load_weights() }}
{{ gather() }}
    }
//% endif

//% if lanes == 2
    total += subgroupShuffleXor(total, 1u);
//% endif
    let weight = 1.0 / total;
    let out = (group.z * params.sq + row) * params.heads * WORDS + group.y * WORDS;
//% for piece in range(0, frags, blocks)
//% set here = [blocks, frags - piece] | min
    workgroupBarrier();
//% for f in range(here)
//% for i in range(fq)
    subgroupMatrixStore<row_major>(&scores, slice + {{ 16 * i }}u * SP + {{ 4 * f }}u, o{{ i }}_{{ piece + f }}, SP);
//% endfor
//% endfor
    workgroupBarrier();
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
