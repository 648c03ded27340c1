//% if width > 1
// Folds an axis with one invocation for each run and word of {{ width }} elements beside: no barriers.
//% else
// Folds an axis with one invocation for each run and element beside: no barriers.
//% endif
// Sums of {{ block }} are summed in turn, so that the roundings of a run of n are about 2 sqrt(n).
//% if width > 1
// Lanes stand side by side along the inner axes.
//% else
// Four elements of the axis are taken together.
//% endif
//
// Limits: 2^32 elements; a row of 65535 workgroups, then the next.
//% import "arrays/words.wgsl" as typed
//% include "arrays/fold.wgsl"

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.x + id.y * (65535u * 64u);
    if (i >= params.count) { return; }
    let beside = params.inner / {{ width }}u;
    let j = i % beside;
    let run = i / beside;
    let chunk = run % params.chunks;
    let o = run / params.chunks;
    let begin = chunk * params.chunk;
    let end = min(params.n, begin + params.chunk);
//% for q in range(quads)
//% if second and width > 1
    let p{{ q }} = (o * beside + j) * {{ width }}u + {{ 4 * q }}u;
    let other{{ q }} = A(per[p{{ q }}], per[p{{ q }} + 1u], per[p{{ q }} + 2u], per[p{{ q }} + 3u]);
//% else
//% if second
    let other{{ q }} = A(per[o * beside + j]);
//% else
    let other{{ q }} = A();
//% endif
//% endif
    var whole{{ q }} = neutral();
//% endfor
    var k = begin;
    while (k < end) {
        let stop = min(end, k + {{ block * (1 if width > 1 else 4) }}u);
//% for q in range(quads)
        var part{{ q }} = neutral();
//% endfor
//% if width > 1
//% for words in ([ahead, 1] if ahead > 1 else [1])
//% if words > 1
        for (; k + {{ words }}u <= stop; k += {{ words }}u) {
//% else
        for (; k < stop; k += {{ words }}u) {
//% endif
            let at = (o * params.n + k) * beside + j;
//% for u in range(words)
            let w{{ u }} = x[at + {{ u }}u * beside];
//% endfor
//% for u in range(words)
//% for q in range(quads)
//% if quads > 1
            part{{ q }} = sum_of(part{{ q }}, mapped({{ typed.quad(kind, "w%d" % u, q) }}, vec4<u32>(k + {{ u }}u), other{{ q }}));
//% else
            part{{ q }} = sum_of(part{{ q }}, mapped({{ typed.loaded(kind, "w%d" % u) }}, vec4<u32>(k + {{ u }}u), other{{ q }}));
//% endif
//% endfor
//% endfor
        }
//% endfor
//% else
        for (; k < stop; k += 4u) {
            let a = (o * params.n + k) * beside + j;
            let place = vec4<u32>(k, k + 1u, k + 2u, k + 3u);
            let b = select(a, a + beside, place.y < end);
            let c = select(a, a + 2u * beside, place.z < end);
            let d = select(a, a + 3u * beside, place.w < end);
            let v = {{ typed.joined(kind, typed.at(kind, "x", "a"), typed.at(kind, "x", "b"), typed.at(kind, "x", "c"), typed.at(kind, "x", "d")) }};
            let inside = place < vec4<u32>(end);
            part0 = sum_of(part0, select(neutral(), mapped(v, place, other0), inside));
        }
//% endif
//% for q in range(quads)
        whole{{ q }} = sum_of(whole{{ q }}, part{{ q }});
//% endfor
    }
//% if width > 1
//% for q in range(quads)
    for (var c = 0u; c < 4u; c++) { put({{ width }}u * i + {{ 4 * q }}u + c, whole{{ q }}[c]); }
//% endfor
//% else
    put(i, total(whole0));
//% endif
}
