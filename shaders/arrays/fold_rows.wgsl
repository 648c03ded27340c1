// Folds the last axis on a GPU: {{ lanes }} lanes take a run of a row, {{ 256 // lanes }} run(s) a workgroup. Lanes read
// neighbouring {{ "words" if quads else "elements" }}, fold what they read, then each other's in a tree in workgroup memory.
//
// Workgroup memory: 1 KiB. Limits: 2^32 elements; a row of 65535 workgroups, then the next.
//% import "arrays/words.wgsl" as typed
//% include "arrays/fold.wgsl"

const LANES = {{ lanes }}u;

var<workgroup> shared_sums: array<{{ acc }}, 256>;

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
        let end = min(params.n, begin + params.chunk);
        let row = o * params.n;
        let other = A({{ "per[o]" if second else "0" }});
//% if quads
        for (var k = begin + {{ 4 * quads }}u * lane; k < end; k += {{ 4 * quads }}u * LANES) {
            let word = x[(row + k) / {{ 4 * quads }}u];
//% for q in range(quads)
            let place{{ q }} = vec4<u32>(k) + vec4<u32>({{ 4 * q }}u, {{ 4 * q + 1 }}u, {{ 4 * q + 2 }}u, {{ 4 * q + 3 }}u);
            let v{{ q }} = mapped({{ typed.quad(kind, "word", q) if quads > 1 else typed.loaded(kind, "word") }}, place{{ q }}, other);
//% if q
            part = sum_of(part, select(neutral(), v{{ q }}, place{{ q }} < vec4<u32>(end)));
//% else
            var part = select(neutral(), v0, place0 < vec4<u32>(end));
//% endif
//% endfor
            whole = sum_of(whole, part);
        }
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
    shared_sums[t] = total(whole);
    for (var step = LANES / 2u; step > 0u; step /= 2u) {
        workgroupBarrier();
        if (lane < step) { shared_sums[t] = sum_of_two(shared_sums[t], shared_sums[t + step]); }
    }
    if (lane == 0u && i < params.count) { put(i, shared_sums[t]); }
}
