// Flash attention on matrix units (Dawn): f16 in, f32 results, 16 x 16 x 16 products.
//
// A workgroup of `subgroups` subgroups of 32 makes `subgroups` * ROWS rows of one head. A subgroup owns ROWS
// of them whole: Q and the results stay in its matrices. For each block of `keys` keys S = Q K^T goes to
// workgroup memory. There one invocation a row (a pair of them where fq is 1) makes the weights, which go
// back as f16 to be the left operand of the product with V. The next blocks of K and V are on their way in
// registers meanwhile. The weights lie where their scores were: of a pair of invocations each writes over
// scores of its own, or the exchange of their maxima comes before.
//
// With teams, each team of so many subgroups owns the same rows and has other keys of a step.
//
// Matrices have no element access, so a rescaling of the results costs a trip through workgroup memory. It
// is therefore lazy (as in FlashAttention-4): the maximum that weights refer to is raised only when a row
// exceeds it by more than 2^SLACK, since such weights are as exact in f16 as weights up to 1. Where the last
// fragment has channels to spare, one of V's holds 1, so that the sum of the weights is a column of the
// results.
//
// Rows of K, V, of `scores` and of weights have an odd number of 16-byte words: no bank conflicts. Where a
// row of K ends in half a fragment, the rest of it is the next row, times zeros of Q: an infinity or a NaN
// makes that of the key before it NaN, too.
//
// relative: scores are f16, relative to that maximum: the product begins with it, negated, so that the
// scores which count are near 0, where f16 is exact. Where a lane's weights are beyond 2^8 on average the
// step is made again, exactly: with scores in f32, 16 keys at a time. So are the first step, and all steps
// of a workgroup that has a row whose maximum is beyond LARGE, or whose length times that of the longest of
// the first keys is beyond LONG: the sums on the way to a score would lose too much in f16. A pair of
// invocations has 32 keys. A product of Q and K that falls below -65504 on its way gets no weight, where no
// other in its step overflows upwards.
//
// ahead: first, and as a rule alone, runs the loop of ahead.wgsl.
//
// mask: "bits" are 0 where a key is not seen, 32 keys a word; other masks are added to the scores. Scores are
// scaled before. A row that sees nothing becomes zeros.
//
// Grid: row blocks, heads, batch.
// Workgroup memory: the arrays below; what runs side by side shares 48 KiB on an H200.
// Limits: f16, D a multiple of 8 up to 160, subgroups of 32.
//% set frags = (head + 15) // 16
//% set spare = head % 16 == 8
//% set words = head // 8
//% set kp = [words + 1 - words % 2, 3] | max
//% set vp = words + 1 + head // 8 % 2
//% set zero = 1 if spare and words > 1 else 0
//% set threads = 32 * subgroups * teams
//% set step = keys * teams
//% set loads = (step * words + threads - 1) // threads
//% set ragged = step * words % threads != 0
//% set tails = teams > 1 and words == 10 and threads == 4 * step
//% set lanes = 2 // fq
//% set blocks = keys // 16
//% set quads = keys // 4 // lanes
//% set scored = keys // 8 if relative else keys // 4
//% set apart = quads if lanes == 2 and blocks == 2 and not relative else quads // 2
//% set stride = apart if lanes == 2 and blocks == 2 else 2
//% set scale = "params.scale" if mask is not defined else "1.0"
//% set guarded = relative or ahead
//% set masked = mask is defined and mask != "none"
//% set octs = masked and mask_unit == 8
//% set bits = masked and mask_unit == 32
//% set at_once = 1 if relative else blocks
//% include "nn/attention/operands.wgsl"

const WORDS = {{ words }}u;
const KP = {{ kp }}u;
const VP = {{ vp }}u;
const ROWS = {{ 16 * fq }}u;
const BQ = {{ subgroups }}u * ROWS;
const KEYS = {{ step }}u;
const V = {{ step * kp + zero }}u;
const SP = {{ scored + 1 }}u;
//% if relative
const SLACK = 8.0;
//% else
const SLACK = 15.0;
//% endif
//% if guarded
const LARGE = 16.0;
const LONG = 40.0;
//% endif
//% if ahead
// At scales below it, a product of -65504 may still count.
const SMALL = 0.015625;
//% endif
//% if ahead and masked
// Sums of weights below it are of a row whose first keys told too little.
const LEAST = 0.0625;
//% endif

struct Votes {
    raised: u32,
    exact: u32,
}

// A block of K, a word of zeros where D is no multiple of 16, and one of V from word V on.
var<workgroup> tiles: array<vec4<u32>, {{ step * (kp + vp) }}>;
// The last row needs no padding.
//% if teams > 1
var<workgroup> scores: array<vec4<u32>, {{ teams }}u * BQ * SP - 1u>;
//% else
var<workgroup> scores: array<vec4<u32>, BQ * SP - 1u>;
//% endif
// Of this step and the last: some row's maximum is raised, the next step must be exact. All who write one write the same.
var<workgroup> votes: array<Votes, 2>;
//% if guarded
// Bits of the squared length of the longest of the first keys.
var<workgroup> longest: atomic<u32>;
//% endif

fn halves(a: vec4<f32>, b: vec4<f32>) -> vec4<u32> {
    return vec4<u32>(
        pack2x16float(a.xy), pack2x16float(a.zw), pack2x16float(b.xy), pack2x16float(b.zw),
    );
}
//% if guarded or octs

fn floats(a: vec2<u32>) -> vec4<f32> {
    return vec4<f32>(unpack2x16float(a.x), unpack2x16float(a.y));
}
//% endif
//% if guarded

fn squares(a: vec4<u32>) -> f32 {
    return dot(floats(a.xy), floats(a.xy)) + dot(floats(a.zw), floats(a.zw));
}
//% endif
//% if masked and not octs and not bits

fn bias(base: u32, key: u32) -> vec4<f32> {
//% if mask_unit == 4
    let m = vec4<f32>(mask[base + min(key, params.sk - 4u) / 4u]);
//% else
    let last = vec4<u32>(params.sk - 1u);
    let at = vec4<u32>(base) + min(vec4<u32>(key) + vec4<u32>(0u, 1u, 2u, 3u), last);
    let m = vec4<f32>(vec4<{{ mask }}>(mask[at.x], mask[at.y], mask[at.z], mask[at.w]));
//% endif
    // Large enough that powers of two do not make it infinite; only infinities hide a key for good.
    let finite = select(m, vec4<f32>(-2.0e38), m < vec4<f32>(-2.0e38));
    return select(finite * {{ 1.4426950408889634 }}, m, m < vec4<f32>(-3.4028234e38));
}
//% endif

@compute @workgroup_size({{ threads }})
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    // Where rows see no later keys, the blocks of rows that see most of them come first.
    let row_blocks = (params.sq + BQ - 1u) / BQ;
    let order = group.x + row_blocks * (group.y + params.heads * group.z);
    let alike = params.batch * params.heads;
    let sorted = vec3<u32>(row_blocks - 1u - order / alike, order % params.heads, order % alike / params.heads);
    let place = select(sorted, group, params.open != 0u);
    let first = place.x * BQ;
    let q_base = place.z * params.sq * params.q_pitch + params.q_first + place.y * WORDS;
//% if mask is defined
    let k_base = place.z * params.sk * params.k_pitch + params.k_first + place.y / params.share * WORDS;
    let v_base = place.z * params.sk * params.v_pitch + params.v_first + place.y / params.share * WORDS;
//% else
    let k_base = place.z * params.sk * params.k_pitch + params.k_first + place.y * WORDS;
    let v_base = place.z * params.sk * params.v_pitch + params.v_first + place.y * WORDS;
//% endif
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
//% if teams > 1
    // Which keys of a step are its team's; the rows are those of the subgroup so far in its team.
    let team = subgroup / {{ subgroups }}u;
    let member = subgroup % {{ subgroups }}u;
    let lead = team * {{ keys }}u;
//% endif
//% set member = "member" if teams > 1 else "subgroup"
//% set lead = " + lead" if teams > 1 else ""
    let row = first + {{ member }} * ROWS + own;
    let seen = min(last, row | params.open);
//% if masked
    let mask_base = place.z * params.mask_batch + place.y * params.mask_head + min(row, params.sq - 1u) * params.mask_row;
//% endif
    // The row's maximum (before scaling, where there is no mask).
    var high = MASKED;
//% if relative
    var large = false;
//% endif
//% if guarded
    var reach = 0.0;
//% endif
    var total = 0.0;

    // This invocation's words of a block of K or V.
//% if tails
    // Eight words of a row side by side, then two of each second row, of K by one half of the workgroup
    // and of V by the other: no bank conflicts.
//% endif
//% for i in range(loads)
    let e{{ i }} = t + {{ threads * i }}u;
//% if not tails
    let r{{ i }} = e{{ i }} / WORDS;
    let w{{ i }} = e{{ i }} % WORDS;
//% elif not loop.last
    let r{{ i }} = t / 8u + {{ threads // 8 * i }}u;
    let w{{ i }} = t % 8u;
//% else
    let r{{ i }} = t % {{ 2 * step }}u / 16u * 8u + t / 8u % 2u + t % 8u / 2u * 2u;
    let w{{ i }} = 8u + t % 2u;
//% endif
    var k{{ i }} = vec4<u32>();
    var v{{ i }} = vec4<u32>();
//% endfor
//% if octs
//% for w in range(quads // 2)
    var b{{ w }} = vec4<u32>();
//% endfor
//% elif bits
    var b0 = 0u;
//% endif
//% macro fetch_mask(block)
//% if octs
//% for w in range(quads // 2)
        b{{ w }} = mask[mask_base + min({{ block }} / 8u + side * {{ quads // 2 }}u + {{ w }}u, params.sk / 8u - 1u)];
//% endfor
//% elif bits
        b0 = mask[mask_base + min({{ block }}, last) / 32u] >> ({{ block }} % 32u + side * {{ 4 * quads }}u);
//% endif
//% endmacro
//% macro added(w)
//% if octs
//% if w % 2
floats(b{{ w // 2 }}.zw) * {{ 1.4426950408889634 }}
//% else
floats(b{{ w // 2 }}.xy) * {{ 1.4426950408889634 }}
//% endif
//%- elif bits
select(vec4<f32>(NEVER), vec4<f32>(), (vec4<u32>(b0) & vec4<u32>({% for i in range(4) %}{{ 2 ** (4 * w + i) }}u{{ ", " if i < 3 }}{% endfor %})) != vec4<u32>())
//%- else
bias(mask_base, j + side * {{ 4 * quads }}u + {{ 4 * w }}u)
//%- endif
//% endmacro
//% macro some(name, i)
{{ "if (t %s %du) { " % ("<" if name == "k" else ">=", 2 * step) if tails else "if (e%d < KEYS * WORDS) { " % i }}
//%- endmacro
//% macro fetch(name, block)
//% for i in range(loads)
        {{ some(name, i) if ragged and loop.last }}{{ name }}{{ i }} = {{ name }}[{{ name }}_base + min({{ block }} + r{{ i }}, last) * params.{{ name }}_pitch + w{{ i }}];{{ " }" if ragged and loop.last }}
//% endfor
//% endmacro
//% macro put(name, first, pitch)
//% for i in range(loads)
        {{ some(name, i) if ragged and loop.last }}tiles[{{ first }}r{{ i }} * {{ pitch }} + w{{ i }}] = {{ name }}{{ i }};{{ " }" if ragged and loop.last }}
//% endfor
//% endmacro

{{ fetch("k", "0u") }}
    // Q comes in slabs of {{ 8 * scored }} channels, all on their way at once.
//% set slab = scored // 2
//% set each = fq * scored // 2
//% for f in range(0, frags, slab)
//% for i in range(each)
    var x{{ f }}_{{ i }} = vec4<u32>();
    {
        let e = t + {{ threads * i }}u;
        let word = {{ 2 * f }}u + e % {{ scored }}u;
//% if teams > 1
        if (word < WORDS) { x{{ f }}_{{ i }} = q[q_base + min(first + e / {{ scored }}u % BQ, params.sq - 1u) * params.q_pitch + word]; }
//% else
        if (word < WORDS) { x{{ f }}_{{ i }} = q[q_base + min(first + e / {{ scored }}u, params.sq - 1u) * params.q_pitch + word]; }
//% endif
    }
//% endfor
//% endfor
//% for f in range(frags)
//% if f % slab == 0
//% if f
    workgroupBarrier();
//% endif
//% for i in range(each)
    scores[(t + {{ threads * i }}u) / {{ scored }}u * SP + (t + {{ threads * i }}u) % {{ scored }}u] = x{{ f }}_{{ i }};
//% endfor
    workgroupBarrier();
//% if guarded
    for (var w = 0u; w < {{ scored }}u; w++) { reach += squares(scores[mine + w]); }
//% endif
//% endif
//% for i in range(fq)
    let q{{ i }}_{{ f }} = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&scores, slice + {{ 16 * i }}u * SP + {{ f % slab * 2 }}u, SP);
    var o{{ i }}_{{ f }}: subgroup_matrix_result<f32, 16, 16>;
//% endfor
//% endfor
//% if relative
    // Each row's maximum, negated.
//% for i in range(fq)
    var m{{ i }}: subgroup_matrix_result<f16, 16, 16>;
//% endfor
//% endif

//% macro score(s, start, piece, of=lead)
//% for n in piece
//% for i in range(fq)
//% if "%" in start
        var {{ s }}{{ i }}_{{ n }} = {{ start % i }};
//% else
        var {{ s }}{{ i }}_{{ n }} = {{ start }};
//% endif
//% endfor
//% for f in range(frags)
//% if of
        let k{{ n }}_{{ f }} = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&tiles, ({{ 16 * n }}u{{ of }}) * KP + {{ 2 * f }}u, KP);
//% else
        let k{{ n }}_{{ f }} = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&tiles, {{ 16 * n }}u * KP + {{ 2 * f }}u, KP);
//% endif
//% for i in range(fq)
        {{ s }}{{ i }}_{{ n }} = subgroupMatrixMultiplyAccumulate(q{{ i }}_{{ f }}, k{{ n }}_{{ f }}, {{ s }}{{ i }}_{{ n }});
//% endfor
//% endfor
//% endfor
//% endmacro
//% macro store_scores(s, words, piece)
//% for n in piece
//% for i in range(fq)
        subgroupMatrixStore<row_major>(&scores, slice + {{ 16 * i }}u * SP + {{ words * (n - piece[0]) }}u, {{ s }}{{ i }}_{{ n }}, SP);
//% endfor
//% endfor
//% endmacro
//% macro put_both()
{{ put("k", "", "KP") }}
{{ put("v", "V + ", "VP") }}
//% endmacro
//% macro hide(name, masked, of=lead)
        if (j + KEYS > min(params.sk, (first + {{ member }} * ROWS + 1u) | params.open)) {
            let key = vec4<u32>(j{{ of }} + side * {{ 4 * quads }}u) + vec4<u32>(0u, 1u, 2u, 3u);
//% for w in range(quads)
            {{ name }}{{ w }} = select({{ name }}{{ w }}, vec4<f32>({{ masked }}), key + vec4<u32>({{ 4 * w }}u) > vec4<u32>(seen));
//% endfor
        }
//% endmacro
//% macro store_weights(at="")
//% for w in range(quads // 2)
        scores[mine{{ at }} + side * {{ apart }}u + {{ w }}u] = weights{{ w }};
//% endfor
//% endmacro
//% macro pack(at="")
//% if not spare or (ahead and masked)
        let sum = dot({% for w in range(quads) %}{{ " + " if w }}p{{ w }}{% endfor %}, vec4<f32>(1.0));
//% endif
//% for w in range(quads // 2)
        let weights{{ w }} = halves(p{{ 2 * w }}, p{{ 2 * w + 1 }});
//% endfor
{{ store_weights(at) }}
//% endmacro

//% macro load_scores(piece)
//% if lanes == 1 or not relative
//% for w in range(4 * piece | length // lanes)
        a{{ 4 * piece[0] + w }} = bitcast<vec4<f32>>(scores[mine + side * {{ quads }}u + {{ w }}u]);
//% endfor
//% else
        if (side == {{ piece[0] }}u) {
//% for w in range(4)
            a{{ w }} = bitcast<vec4<f32>>(scores[mine + {{ w }}u]);
//% endfor
        }
//% endif
//% endmacro
//% macro exact_step()
//% for w in range(quads)
        var a{{ w }}: vec4<f32>;
//% endfor
//% for n in range(0, blocks, at_once)
//% set piece = range(n, n + at_once) | list
{{ score("s", "subgroup_matrix_result<f32, 16, 16>()", piece) }}
        // From here on nobody reads the scores of the last piece, nor the weights of the last block.
        workgroupBarrier();
{{ store_scores("s", 4, piece) }}
//% if loop.last
        // Nor K of this block, nor V of the last.
//% endif
        workgroupBarrier();
//% if loop.last
{{ put_both() }}
//% endif
{{ load_scores(piece) }}
//% endfor
        if (t == 0u) { votes[1u - turn] = Votes(); }
//% if mask is defined
//% for w in range(quads)
//% if masked
        a{{ w }} = fma(a{{ w }}, vec4<f32>(params.scale), {{ added(w) }});
//% else
        a{{ w }} = fma(a{{ w }}, vec4<f32>(params.scale), vec4<f32>());
//% endif
//% endfor
//% endif
{{ hide("a", "NEVER") }}
        var most = a0;
//% for w in range(1, quads)
        most = max(most, a{{ w }});
//% endfor
        var top = max(max(most.x, most.y), max(most.z, most.w));
//% if lanes == 2
        top = max(top, subgroupShuffleXor(top, 1u));
//% endif
        var factor = 1.0;
        var offset = -high * {{ scale }};
        // The very exponent of a weight: no rounding takes one beyond f16.
        if (fma(top, {{ scale }}, offset) > SLACK) {
//% if relative
            large = !(abs(top) < 32768.0 && abs(top) * params.scale < LARGE && reach < LONG);
            if (!large) { top = unpack2x16float(pack2x16float(vec2<f32>(top))).x; }
//% endif
            factor = exp2((high - top) * {{ scale }});
            high = top;
            offset = -high * {{ scale }};
            total *= factor;
            votes[turn].raised = 1u;
        }
//% if relative
        if (large) { votes[turn].exact = 1u; }
//% endif
//% for w in range(quads)
        let p{{ w }} = exp2(fma(a{{ w }}, vec4<f32>({{ scale }}), vec4<f32>(offset)));
//% endfor
{{ pack() }}
        let vote = workgroupUniformLoad(&votes[turn]);
        if (vote.raised != 0u) {
            // Before the first block the results are zero.
            if (j > 0u) {
{{ rescale() }}
            }
//% if relative
{{ load_maxima() }}
//% endif
            // The weights lay there.
{{ store_weights() }}
            workgroupBarrier();
        }
//% endmacro
//% macro rescale()
//% for start in range(0, frags, at_once)
//% set here = [at_once, frags - start] | min
//% for f in range(here)
//% for i in range(fq)
            subgroupMatrixStore<row_major>(&scores, slice + {{ 16 * i }}u * SP + {{ 4 * f }}u, o{{ i }}_{{ start + f }}, SP);
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
            o{{ i }}_{{ start + f }} = subgroupMatrixLoad<subgroup_matrix_result<f32, 16, 16>, row_major>(&scores, slice + {{ 16 * i }}u * SP + {{ 4 * f }}u, SP);
//% endfor
//% endfor
            workgroupBarrier();
//% endfor
//% endmacro
//% macro load_maxima()
            for (var w = side; w < 2u; w += {{ lanes }}u) {
                scores[mine + w] = vec4<u32>(pack2x16float(vec2<f32>(select(-high, 0.0, large))));
            }
            workgroupBarrier();
//% for i in range(fq)
            m{{ i }} = subgroupMatrixLoad<subgroup_matrix_result<f16, 16, 16>, row_major>(&scores, slice + {{ 16 * i }}u * SP, SP);
//% endfor
            workgroupBarrier();
//% endmacro

//% macro sum_in_f16()
        var sums = vec4<f16>();
//% for w in range(quads // 2)
        sums += bitcast<vec4<f16>>(weights{{ w }}.xy) + bitcast<vec4<f16>>(weights{{ w }}.zw);
//% endfor
//% endmacro
//% macro relative_step()
//% set all = range(blocks) | list
{{ score("h", "m%d", all) }}
        workgroupBarrier();
{{ store_scores("h", 2, all) }}
        workgroupBarrier();
{{ put_both() }}
        if (t == 0u) { votes[1u - turn] = Votes(); }
//% for w in range(quads // 2)
        let a{{ w }} = scores[mine + side * {{ apart }}u + {{ w }}u];
        var p{{ 2 * w }} = exp2(floats(a{{ w }}.xy) * params.scale);
        var p{{ 2 * w + 1 }} = exp2(floats(a{{ w }}.zw) * params.scale);
//% endfor
{{ hide("p", "") }}
{{ pack() }}
{{ sum_in_f16() }}
        // Not where it is infinite or NaN, either.
        if (!(dot(vec4<f32>(sums), vec4<f32>(1.0)) <= {{ 256 * 4 * quads }}.0)) { votes[turn].exact = 1u; }
        let vote = workgroupUniformLoad(&votes[turn]);
//% endmacro
//% macro mix(at="")
//% for n in range(blocks)
//% for i in range(fq)
        let p{{ i }}_{{ n }} = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&scores, slice + {{ 16 * i }}u * SP + {{ stride * n }}u{{ at }}, SP);
//% endfor
//% endfor
//% for n in range(blocks)
//% for f in range(frags)
//% if lead
        let v{{ n }}_{{ f }} = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&tiles, V + ({{ 16 * n }}u{{ lead }}) * VP + {{ 2 * f }}u, VP);
//% else
        let v{{ n }}_{{ f }} = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&tiles, V + {{ 16 * n }}u * VP + {{ 2 * f }}u, VP);
//% endif
//% for i in range(fq)
        o{{ i }}_{{ f }} = subgroupMatrixMultiplyAccumulate(p{{ i }}_{{ n }}, v{{ n }}_{{ f }}, o{{ i }}_{{ f }});
//% endfor
//% endfor
//% endfor
//% endmacro
//% macro gather()
//% if not spare
        total += sum;
//% endif
{{ mix() }}
        j += KEYS;
        turn = 1u - turn;
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
{{ put("k", "", "KP") }}
//% if ahead and not lean
{{ fetch("k", "KEYS") }}
{{ fetch("v", "0u") }}
//% endif
    if (t < 2u) { votes[t] = Votes(); }
//% if guarded
    if (t == 0u) { atomicStore(&longest, 0u); }
//% endif
    let end = min(params.sk, (first + BQ) | params.open);
    var turn = 0u;
    var j = 0u;
    workgroupBarrier();
//% if guarded
    for (var r = t; r < KEYS; r += {{ threads }}u) {
        var of_key = 0.0;
        for (var w = 0u; w < WORDS; w++) { of_key += squares(tiles[r * KP + w]); }
        atomicMax(&longest, bitcast<u32>(of_key));
    }
    workgroupBarrier();
    reach = sqrt(reach * bitcast<f32>(atomicLoad(&longest))) * params.scale;
//% endif
//% if ahead
//% include "nn/attention/ahead.wgsl"
//% endif
    while (j < end) {
{{ fetch("k", "j + KEYS") }}
{{ fetch("v", "j") }}
{{ fetch_mask("j") }}
{{ exact_step() }}
{{ gather() }}
//% if relative
        var exact = vote.exact != 0u;
        while (!exact && j < end) {
{{ fetch("k", "j + KEYS") }}
{{ fetch("v", "j") }}
{{ relative_step() }}
            if (vote.exact != 0u) {
                // K of this block is no longer there.
{{ fetch("k", "j") }}
{{ put("k", "", "KP") }}
                exact = true;
                turn = 1u - turn;
                workgroupBarrier();
                continue;
            }
{{ gather() }}
        }
//% endif
    }

//% include "nn/attention/results.wgsl"
}
