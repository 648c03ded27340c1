// Folds an axis with one invocation for each run and {{ "word of four" if width == 4 else "element" }} beside: no barriers.
// Sums of {{ block }} are summed in turn, so that the roundings of a run of n are about 2 sqrt(n).
// {{ "Lanes stand side by side along the inner axes." if width == 4 else "Four elements of the axis are taken together." }}
//
// Limits: 2^32 elements; a row of 65535 workgroups, then the next.
//% import "arrays/words.wgsl" as typed
//% include "arrays/fold.wgsl"

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.x + id.y * (65535u * 64u);
    if (i >= params.count) { return; }
    let beside = params.inner{{ " / 4u" if width == 4 else "" }};
    let j = i % beside;
    let run = i / beside;
    let chunk = run % params.chunks;
    let o = run / params.chunks;
    let begin = chunk * params.chunk;
    let end = min(params.n, begin + params.chunk);
//% if second and width == 4
    let p = (o * beside + j) * 4u;
    let other = A(per[p], per[p + 1u], per[p + 2u], per[p + 3u]);
//% elif second
    let other = A(per[o * beside + j]);
//% else
    let other = A();
//% endif
    var whole = neutral();
    var k = begin;
    while (k < end) {
        let stop = min(end, k + {{ block * (1 if width == 4 else 4) }}u);
        var part = neutral();
//% if width == 4
        for (; k < stop; k++) {
            let word = x[(o * params.n + k) * beside + j];
            part = sum_of(part, mapped({{ typed.loaded(kind, "word") }}, vec4<u32>(k), other));
        }
//% else
        for (; k < stop; k += 4u) {
            let a = (o * params.n + k) * beside + j;
            let place = vec4<u32>(k, k + 1u, k + 2u, k + 3u);
            let b = select(a, a + beside, place.y < end);
            let c = select(a, a + 2u * beside, place.z < end);
            let d = select(a, a + 3u * beside, place.w < end);
            let v = {{ typed.joined(kind, typed.at(kind, "x", "a"), typed.at(kind, "x", "b"), typed.at(kind, "x", "c"), typed.at(kind, "x", "d")) }};
            let inside = place < vec4<u32>(end);
            part = sum_of(part, select(neutral(), mapped(v, place, other), inside));
        }
//% endif
        whole = sum_of(whole, part);
    }
//% if width == 4
    for (var c = 0u; c < 4u; c++) { put(4u * i + c, whole[c]); }
//% else
    put(i, total(whole));
//% endif
}
