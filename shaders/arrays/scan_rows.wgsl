// Scans the last axis on a GPU: 256 lanes take a run of a row, 1024 elements at a time. A lane sums
// its four, the lanes' sums are scanned in workgroup memory (Hillis and Steele 1986), and the last
// one is carried on to the next 1024.
//
// Workgroup memory: 2 KiB. Limits: 2^32 elements; a row of 65535 workgroups, then the next.
//% import "arrays/words.wgsl" as typed
//% set neutral = {"add": "0", "mul": "1", "max": "0"}[combine]
//% include "arrays/scan.wgsl"

const LANES = 256u;

var<workgroup> sums: array<{{ acc }}, 2u * LANES>;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = group.x + group.y * 65535u;
    if (i >= params.count) { return; }
    let chunk = i % params.chunks;
    let row = i / params.chunks * params.n;
    let begin = chunk * params.chunk;
    let end = min(params.n, begin + params.chunk);
    var whole = {{ "before_of(i)" if many else "%s(%s)" % (acc, neutral) }};
    for (var k = begin; k < end; k += 4u * LANES) {
        let e = k + 4u * lane;
        let place = vec4<u32>(e, e + 1u, e + 2u, e + 3u);
        let inside = place < vec4<u32>(end);
//% if aligned
        let word = x[min(row + e, row + end - 1u) >> 2u];
        let v = {{ typed.loaded(kind, "word") }};
//% else
        let p = vec4<u32>(row) + min(place, vec4<u32>(end - 1u));
        let v = {{ typed.joined(kind, typed.at(kind, "x", "p.x"), typed.at(kind, "x", "p.y"), typed.at(kind, "x", "p.z"), typed.at(kind, "x", "p.w")) }};
//% endif
        let m = select(A({{ neutral }}), mapped(v), inside);
        let two = sum_of_two(m.x, m.y);
        let three = sum_of_two(two, m.z);
        sums[lane] = sum_of_two(three, m.w);
        var side = 0u;
        for (var step = 1u; step < LANES; step *= 2u) {
            workgroupBarrier();
            var s = sums[side + lane];
            if (lane >= step) { s = sum_of_two(sums[side + lane - step], s); }
            side = LANES - side;
            sums[side + lane] = s;
        }
        workgroupBarrier();
        var start = whole;
        if (lane > 0u) { start = sum_of_two(whole, sums[side + lane - 1u]); }
        whole = sum_of_two(whole, sums[side + LANES - 1u]);
        workgroupBarrier();
        let shown = finished(sum_of(A(start), A({{ ("%s(%s), m.x, two, three" if exclusive else "m.x, two, three, sum_of_two(three, m.w)") | replace("%s(%s)", "%s(%s)" % (acc, neutral)) }})));
//% if aligned
        // The last word may reach past the last element, into the rest of its grain of memory.
        if (e < end) { put_word(row + e, shown); }
//% else
        for (var c = 0u; c < 4u; c++) {
            if (place[c] < end) { put(row + place[c], shown[c]); }
        }
//% endif
    }
}
