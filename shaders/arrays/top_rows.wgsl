// Places of the k first of rows, in rising or falling order, for k of up to {{ lanes }}: rows are cut in pieces of up to
// {{ 4 * words * lanes }} numbers, a subgroup of {{ lanes }} lanes takes one and keeps it in registers; round after round it finds
// its least key and the first place that has it, and removes that.
//
// Memory: x is (row, n) in words of four (arrays/words.wgsl), places are (row, piece, k), within the row.
// Limits: 2^32 elements; a row of 65535 workgroups, then the next.
enable subgroups;
diagnostic(off, subgroup_uniformity);
//% import "arrays/words.wgsl" as typed
//% import "arrays/keys.wgsl" as keys
//% set spare = typed.family[kind] == "float"
{{ typed.head([kind]) }}
{{ keys.of(typed.family[kind], typed.value[kind], "vec4<u32>", true) }}

//% if aligned
// each: words of four of a piece; the first `more` have one more.
//% else
// each: elements of a piece; the first `more` have one more.
//% endif
struct Params { n: u32, count: u32, k: u32, pieces: u32, each: u32, more: u32 }

@group(0) @binding(0) var<storage, read> x: array<{{ typed.storage[kind] }}>;
@group(0) @binding(1) var<storage, read_write> places: array<i32>;
@group(0) @binding(2) var<uniform> params: Params;

const LANES = {{ lanes }}u;
const NONE = 0xffffffffu;
//% if spare
// Keys of floats leave many free: NaN takes the one before NONE, which then says what is gone.
const LAST = 0xfffffffeu;
//% endif

@compute @workgroup_size({{ workgroup }})
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let i = (group.x + group.y * 65535u) * {{ workgroup // lanes }}u + t / LANES;
    if (i >= params.count) { return; }
    let lane = t % LANES;
    let piece = i % params.pieces;
//% if aligned
    let start = 4u * (piece * params.each + min(piece, params.more));
    let length = 4u * (params.each + select(0u, 1u, piece < params.more));
//% else
    let start = 1u * (piece * params.each + min(piece, params.more));
    let length = 1u * (params.each + select(0u, 1u, piece < params.more));
//% endif
    let row = i / params.pieces * params.n + start;
//% if not spare
    // Which of the own numbers are gone, or past the piece's end.
    var gone = 0u;
//% endif
//% for j in range(words)
    let place{{ j }} = vec4<u32>(4u * lane + {{ 4 * j * lanes }}u) + vec4<u32>(0u, 1u, 2u, 3u);
//% if aligned
    let v{{ j }} = {{ typed.loaded(kind, "x[(row + min(place%d.x, length - 4u)) / 4u]" % j) }};
//% else
    let i{{ j }} = vec4<u32>(row) + min(place{{ j }}, vec4<u32>(length - 1u));
    let v{{ j }} = {{ typed.joined(kind, typed.at(kind, "x", "i%d.x" % j), typed.at(kind, "x", "i%d.y" % j), typed.at(kind, "x", "i%d.z" % j), typed.at(kind, "x", "i%d.w" % j)) }};
//% endif
//% endfor
//% for j in range(words)
//% if descending
    var keys{{ j }} = reversed_key(key_of(v{{ j }}));
//% else
    var keys{{ j }} = key_of(v{{ j }});
//% endif
//% if spare
    keys{{ j }} = min(keys{{ j }}, vec4<u32>(LAST));
//% endif
    keys{{ j }} = select(vec4<u32>(NONE), keys{{ j }}, place{{ j }} < vec4<u32>(length));
//% for c in range(4)
    var k{{ 4 * j + c }} = keys{{ j }}[{{ c }}];
//% if not spare
    gone |= select({{ 2 ** (4 * j + c) }}u, 0u, place{{ j }}[{{ c }}] < length);
//% endif
//% endfor
//% endfor
    var found = 0u;
    for (var round = 0u; round < params.k; round++) {
        var least = k0;
//% for e in range(1, 4 * words)
        least = min(least, k{{ e }});
//% endfor
        least = subgroupMin(least);
        var at = NONE;
//% for e in range(4 * words - 1, -1, -1)
//% if spare
        at = select(at, {{ 4 * lanes * (e // 4) + e % 4 }}u, k{{ e }} == least);
//% else
        at = select(at, {{ 4 * lanes * (e // 4) + e % 4 }}u, (k{{ e }} == least) & ((gone & {{ 2 ** e }}u) == 0u));
//% endif
//% endfor
        let first = subgroupMin(select(at + 4u * lane, NONE, at == NONE));
        found = select(found, first, lane == round);
        let own = first - 4u * lane;
//% for e in range(4 * words)
        k{{ e }} = select(k{{ e }}, NONE, own == {{ 4 * lanes * (e // 4) + e % 4 }}u);
//% endfor
//% if not spare
        let here = own < {{ 4 * words }}u * LANES && own % (4u * LANES) < 4u;
        gone |= select(0u, 1u << (((own / LANES) & 28u) + (own & 3u)), here);
//% endif
    }
    if (lane < params.k) { places[i * params.k + lane] = i32(start + found); }
}
