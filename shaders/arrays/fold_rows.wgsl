// Folds the last axis on a GPU: {{ lanes }} lanes take a run of a row, {{ 256 // lanes }} run(s) a workgroup. Lanes read
// neighbouring {{ "words, %d at once," % ahead if quads else "elements" }}{{ " element by element, as rows begin between words, in the order of words," if ragged }} fold what they read, then each other's: {{ "from lane to lane, and subgroups of %d in turn" % subgroup if subgroup else "in a tree in workgroup memory" }}.
// If runs meet, the last workgroup of a row, by a count, folds in the order of their places what they come to, and
// leaves zeros behind. A workgroup counts itself with what it found where it handed on its number, a zero, which only
// the device knows: so the number is there before the count, though WGSL's atomics are relaxed.
//
// Memory: `nodes`, if runs meet, opens with the counts of rows, then has a word a run; all are zeros before and after.
//% if subgroup
// Workgroup memory: 1 KiB at most. Limits: 2^32 elements; a row of 65535 workgroups, then the next.
//% else
// Workgroup memory: 1 KiB. Limits: 2^32 elements; a row of 65535 workgroups, then the next.
//% endif
//% if subgroup
enable subgroups;
diagnostic(off, subgroup_uniformity);
//% endif
//% import "arrays/words.wgsl" as typed
//% include "arrays/fold.wgsl"

const LANES = {{ lanes }}u;
//% if quads
const WORD = {{ 4 * quads }}u;
//% endif
//% if not subgroup

var<workgroup> shared_sums: array<{{ acc }}, 256>;
//% elif lanes > subgroup

var<workgroup> shared_sums: array<{{ acc }}, {{ 256 // subgroup }}>;
//% endif

// What the lanes of a run come to together, for its first one.
fn folded(v: {{ acc }}, t: u32) -> {{ acc }} {
    let lane = t % LANES;
//% if subgroup
    var sum = v;
//% for step in (1, 2, 4, 8, 16, 32) if step < lanes and step < subgroup
    sum = sum_of_two(sum, subgroupShuffleXor(sum, {{ step }}u));
//% endfor
//% if lanes > subgroup
    if (t % {{ subgroup }}u == 0u) { shared_sums[t / {{ subgroup }}u] = sum; }
    workgroupBarrier();
    if (lane == 0u) {
        for (var s = 1u; s < {{ lanes // subgroup }}u; s++) { sum = sum_of_two(sum, shared_sums[t / {{ subgroup }}u + s]); }
    }
//% endif
    return sum;
//% else
    shared_sums[t] = v;
    for (var step = LANES / 2u; step > 0u; step /= 2u) {
        workgroupBarrier();
        if (lane < step) { shared_sums[t] = sum_of_two(shared_sums[t], shared_sums[t + step]); }
    }
    return shared_sums[t];
//% endif
}
//% if meets

var<workgroup> seen: u32;

// Hands on what run i comes to; how many of its row were before it, of which there are never all past the last run.
fn counted(i: u32, v: {{ acc }}) -> u32 {
    if (i >= params.count) { return 0u; }
    let old = atomicExchange(&nodes[params.outer + i], bitcast<u32>(v));
    return atomicAdd(&nodes[i / params.chunks], 1u + old);
}
//% endif

//% macro add(word, k, guarded)
//% for q in range(quads)
            let place{{ q }} = vec4<u32>({{ k }}) + vec4<u32>({{ 4 * q }}u, {{ 4 * q + 1 }}u, {{ 4 * q + 2 }}u, {{ 4 * q + 3 }}u);
//% if ragged
//% if guarded
            let e{{ q }} = vec4<u32>(row) + select(vec4<u32>({{ k }}), place{{ q }}, place{{ q }} < vec4<u32>(end));
//% else
            let e{{ q }} = vec4<u32>(row) + place{{ q }};
//% endif
            let v{{ q }} = mapped({{ typed.joined(kind, typed.at(kind, "x", "e%d.x" % q), typed.at(kind, "x", "e%d.y" % q), typed.at(kind, "x", "e%d.z" % q), typed.at(kind, "x", "e%d.w" % q)) }}, place{{ q }}, other);
//% else
//% if quads > 1
            let v{{ q }} = mapped({{ typed.quad(kind, word, q) }}, place{{ q }}, other);
//% else
            let v{{ q }} = mapped({{ typed.loaded(kind, word) }}, place{{ q }}, other);
//% endif
//% endif
            {{ "part = sum_of(part, " if q else "var part = (" }}{{ "select(neutral(), v%d, place%d < vec4<u32>(end))" % (q, q) if guarded else "v%d" % q }});
//% endfor
            whole = sum_of(whole, part);
//% endmacro
@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let lane = t % LANES;
    let i = (group.x + group.y * 65535u) * (256u / LANES) + t / LANES;
    var whole = neutral();
    if (i < params.count) {
        let chunk = i % params.chunks;
        let o = i / params.chunks;
        let begin = chunk * params.chunk;
//% if of_runs
        let end = select(begin, min(params.n, begin + params.chunk), of_runs[i] == per[o]);
//% else
        let end = min(params.n, begin + params.chunk);
//% endif
        let row = o * params.n;
//% if second
        let other = A(per[o]);
//% else
        let other = A(0);
//% endif
//% if quads
        var k = begin + WORD * lane;
        let full = begin + (end - begin) / ({{ ahead }}u * WORD * LANES) * ({{ ahead }}u * WORD * LANES);
        for (; k < full; k += {{ ahead }}u * WORD * LANES) {
//% for u in range(ahead) if not ragged
            let w{{ u }} = x[(row + k) / WORD + {{ u }}u * LANES];
//% endfor
//% for u in range(ahead)
            {
{{ add("w%d" % u, "k + %du * WORD * LANES" % u, false) }}            }
//% endfor
        }
        for (; k < end; k += WORD * LANES) {
//% if not ragged
            let word = x[(row + k) / WORD];
//% endif
{{ add("word", "k", true) }}        }
//% else
        for (var k = begin + lane; k < end; k += 4u * LANES) {
            let place = vec4<u32>(k, k + LANES, k + 2u * LANES, k + 3u * LANES);
            let e = vec4<u32>(row) + select(vec4<u32>(k), place, place < vec4<u32>(end));
            let w = {{ typed.joined(kind, typed.at(kind, "x", "e.x"), typed.at(kind, "x", "e.y"), typed.at(kind, "x", "e.z"), typed.at(kind, "x", "e.w")) }};
            let v = mapped(w, place, other);
            whole = sum_of(whole, select(neutral(), v, place < vec4<u32>(end)));
        }
//% endif
    }
    let sum = folded(total(whole), t);
//% if meets
    if (t == 0u) { seen = counted(i, sum); }
    if (workgroupUniformLoad(&seen) != params.chunks - 1u) { return; }
    let row = i / params.chunks;
    var rest = neutral().x;
    for (var c = t; c < params.chunks; c += LANES) { rest = sum_of_two(rest, bitcast<{{ acc }}>(atomicExchange(&nodes[params.outer + row * params.chunks + c], 0u))); }
    let all = folded(rest, t);
    if (t == 0u) {
        put(row, all);
        atomicStore(&nodes[row], 0u);
    }
//% else
    if (lane == 0u && i < params.count) { put(i, sum); }
//% endif
}
