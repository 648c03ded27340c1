// Folds an axis with others behind it on a GPU: a workgroup takes a strip of {{ across }} words of {{ width }} elements and a run
// of the axis, {{ lanes // across }} lanes below each other. Lanes read {{ ahead }} words at once and sum them in turn in blocks of {{ block }}; those of
// a column meet in a tree in workgroup memory. Few workgroups read long runs, so that a second pass is short.
//
// Workgroup memory: {{ lanes * quads // 128 }} KiB. Limits: 2^32 elements; a row of 65535 workgroups, then the next.
//% import "arrays/words.wgsl" as typed
//% include "arrays/fold.wgsl"

const LANES = {{ lanes }}u;
const ACROSS = {{ across }}u;
const DOWN = LANES / ACROSS;

var<workgroup> halves: array<array<A, {{ quads }}>, LANES / 2u>;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let i = group.x + group.y * 65535u;
    if (i >= params.count) { return; }
    let beside = params.inner / {{ width }}u;
    let strips = (beside + ACROSS - 1u) / ACROSS;
    let own = i % strips * ACROSS + t % ACROSS;
    // Lanes past the last column read it, too, and take part in the barriers.
    let j = min(own, beside - 1u);
    let run = i / strips;
    let chunk = run % params.chunks;
    let o = run / params.chunks;
    let begin = chunk * params.chunk;
    let end = min(params.n, begin + params.chunk);
//% for q in range(quads)
//% if second
    let p{{ q }} = (o * beside + j) * {{ width }}u + {{ 4 * q }}u;
    let other{{ q }} = A(per[p{{ q }}], per[p{{ q }} + 1u], per[p{{ q }} + 2u], per[p{{ q }} + 3u]);
//% else
    let other{{ q }} = A();
//% endif
    var whole{{ q }} = neutral();
//% endfor
    var k = begin + t / ACROSS;
    while (k < end) {
        let stop = min(end, k + {{ block }}u * DOWN);
//% for q in range(quads)
        var part{{ q }} = neutral();
//% endfor
//% for words in (ahead, 1)
//% if words > 1
        for (; k + {{ words - 1 }}u * DOWN < stop; k += {{ words }}u * DOWN) {
//% else
        for (; k < stop; k += {{ words }}u * DOWN) {
//% endif
            let at = (o * params.n + k) * beside + j;
//% for u in range(words)
            let w{{ u }} = x[at + {{ u }}u * DOWN * beside];
//% endfor
//% for u in range(words)
//% for q in range(quads)
//% if quads > 1
            part{{ q }} = sum_of(part{{ q }}, mapped({{ typed.quad(kind, "w%d" % u, q) }}, vec4<u32>(k + {{ u }}u * DOWN), other{{ q }}));
//% else
            part{{ q }} = sum_of(part{{ q }}, mapped({{ typed.loaded(kind, "w%d" % u) }}, vec4<u32>(k + {{ u }}u * DOWN), other{{ q }}));
//% endif
//% endfor
//% endfor
        }
//% endfor
//% for q in range(quads)
        whole{{ q }} = sum_of(whole{{ q }}, part{{ q }});
//% endfor
    }
    for (var step = LANES / 2u; step >= ACROSS; step /= 2u) {
        workgroupBarrier();
        if (t >= step && t < 2u * step) {
            halves[t - step] = array<A, {{ quads }}>({% for q in range(quads) %}whole{{ q }}{{ ", " if not loop.last }}{% endfor %});
        }
        workgroupBarrier();
        if (t < step) {
//% for q in range(quads)
            whole{{ q }} = sum_of(whole{{ q }}, halves[t][{{ q }}]);
//% endfor
        }
    }
    if (t >= ACROSS || own >= beside) { return; }
//% for q in range(quads)
    for (var c = 0u; c < 4u; c++) { put((run * beside + j) * {{ width }}u + {{ 4 * q }}u + c, whole{{ q }}[c]); }
//% endfor
}
