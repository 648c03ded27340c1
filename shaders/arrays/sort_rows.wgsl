// Sorts rows of up to {{ side }} numbers in registers (Batcher's bitonic sort, 1968, with the first step of each merge
// mirrored, so that the lesser one always goes to the front): {{ side // each }} lanes a row, {{ each }} neighbours a lane.
//% if lanes > 1
// Lanes hand their numbers to each other in subgroups of {{ lanes }}, beyond these or without them in workgroup memory.
//% else
// Lanes hand their numbers to each other in subgroups, beyond these or without them in workgroup memory.
//% endif
//% if mode == "keys"
// {{ {"keys": "Numbers alone are wanted", "pairs": "Places go with the keys", "packed": "The place stands behind the key in one word"}[mode] }}.
//% else
// {{ {"keys": "Numbers alone are wanted", "pairs": "Places go with the keys", "packed": "The place stands behind the key in one word"}[mode] }}, and break ties, so that the order of equal keys stays.
//% endif
//
// Memory: x and y are (row, n), x in words of four (arrays/words.wgsl), y too where n is a multiple of four.
//% if side // each > lanes
// Workgroup memory: {{ each * workgroup // 256 }} KiB. Limits: 2^32 elements; a row of 65535 workgroups, then the next.
//% else
// Workgroup memory: none. Limits: 2^32 elements; a row of 65535 workgroups, then the next.
//% endif
//% set across = side // each
//% set shared = across > lanes
//% if lanes > 1
enable subgroups;
diagnostic(off, subgroup_uniformity);
//% endif
//% import "arrays/words.wgsl" as typed
//% import "arrays/keys.wgsl" as keys
{{ typed.head([kind]) }}
{{ keys.of(typed.family[kind], typed.value[kind], "vec4<u32>", mode != "keys") }}

struct Params { n: u32, count: u32 }

@group(0) @binding(0) var<storage, read> x: array<{{ typed.storage[kind] }}>;
//% if mode != "keys"
//% if aligned
@group(0) @binding(1) var<storage, read_write> y: array<vec4<i32>>;
//% else
@group(0) @binding(1) var<storage, read_write> y: array<i32>;
//% endif
//% else
//% if aligned
@group(0) @binding(1) var<storage, read_write> y: array<{{ typed.storage[kind] }}>;
//% else
@group(0) @binding(1) var<storage, read_write> y: array<{{ kind }}>;
//% endif
//% endif
@group(0) @binding(2) var<uniform> params: Params;

// Lanes of a row.
const ACROSS = {{ across }}u;
//% set bits = {1: 0, 2: 1, 4: 2, 8: 3, 16: 4, 32: 5, 64: 6, 128: 7, 256: 8}
//% set own = ["k", "p"] if mode == "pairs" else ["k"]
//% if shared

var<workgroup> handed: array<u32, {{ each * workgroup }}>;
//% endif

// The keys of four numbers of a row, and what stands behind them for each place past its end.
fn keys_at(row: u32, e: u32) -> vec4<u32> {
    let place = vec4<u32>(e) + vec4<u32>(0u, 1u, 2u, 3u);
//% if aligned
    let v = {{ typed.loaded(kind, "x[(row + min(e, params.n - 4u)) / 4u]") }};
//% else
    let i = vec4<u32>(row) + min(place, vec4<u32>(params.n - 1u));
    let v = {{ typed.joined(kind, typed.at(kind, "x", "i.x"), typed.at(kind, "x", "i.y"), typed.at(kind, "x", "i.z"), typed.at(kind, "x", "i.w")) }};
//% endif
//% if descending
    let key = reversed_key(key_of(v));
//% else
    let key = key_of(v);
//% endif
//% if mode == "packed"
//% set narrow = {
    "f16": "key & vec4<u32>(0xffffe000u)", "u8": "key << vec4<u32>(24u)", "i8": "(key << vec4<u32>(24u)) ^ vec4<u32>(0x80000000u)",
}[kind]
    return select(vec4<u32>(0xffffffffu), ({{ narrow }}) | place, place < vec4<u32>(params.n));
//% else
    return select(vec4<u32>(0xffffffffu), key, place < vec4<u32>(params.n));
//% endif
}

{# The lesser of two of a lane goes to the front. #}
//% macro ordered(a, b)
//% if mode == "pairs"
    {
        let turn = (k{{ a }} > k{{ b }}) | ((k{{ a }} == k{{ b }}) & (p{{ a }} > p{{ b }}));
//% for v in own
        let {{ v }} = {{ v }}{{ a }};
        {{ v }}{{ a }} = select({{ v }}, {{ v }}{{ b }}, turn);
        {{ v }}{{ b }} = select({{ v }}{{ b }}, {{ v }}, turn);
//% endfor
    }
//% else
    {
        let k = k{{ a }};
        k{{ a }} = min(k, k{{ b }});
        k{{ b }} = max(k, k{{ b }});
    }
//% endif
//% endmacro

{# Keeps the lesser of a lane's own and another's where `front` says so, else the greater. #}
//% macro kept(e)
//% if mode == "pairs"
        let keep{{ e }} = ((k{{ e }} < other_k{{ e }}) | ((k{{ e }} == other_k{{ e }}) & (p{{ e }} < other_p{{ e }}))) == front;
        k{{ e }} = select(other_k{{ e }}, k{{ e }}, keep{{ e }});
        p{{ e }} = select(other_p{{ e }}, p{{ e }}, keep{{ e }});
//% else
        k{{ e }} = select(max(k{{ e }}, other_k{{ e }}), min(k{{ e }}, other_k{{ e }}), front);
//% endif
//% endmacro

{# Steps within lanes, by `bit` and all below it. #}
//% macro merged(bit)
//% for b in range(bit, -1, -1)
//% for e in range(each)
//% if not e // 2 ** b % 2
{{ ordered(e, e + 2 ** b) }}
//%- endif
//% endfor
//% endfor
//% endmacro

{# A step between lanes whose numbers differ by `mask`; mirrored, their neighbours in falling order. #}
//% macro crossed(mask, mirrored)
//% if shared
        if ({{ mask }} >= {{ lanes }}u) {
//% for v in own
//% for e in range(each)
            handed[{{ e * workgroup }}u + t] = {{ v }}{{ e }};
//% endfor
            workgroupBarrier();
//% for e in range(each)
            let other_{{ v }}{{ e }} = handed[{{ (each - 1 - e if mirrored else e) * workgroup }}u + (t ^ {{ mask }})];
//% endfor
            workgroupBarrier();
//% endfor
//% for e in range(each)
{{ kept(e) }}
//%- endfor
        }
//%- endif
//%- if lanes > 1
//%- if shared
 else
//%- endif
 {
//% for e in range(each // 2 if mirrored else each)
//% for j in ([e, each - 1 - e] if mirrored else [e])
//% for v in own
//% if mirrored
        let other_{{ v }}{{ j }} = subgroupShuffleXor({{ v }}{{ each - 1 - j }}, {{ mask }});
//% else
        let other_{{ v }}{{ j }} = subgroupShuffleXor({{ v }}{{ j }}, {{ mask }});
//% endif
//% endfor
//% endfor
//% for j in ([e, each - 1 - e] if mirrored else [e])
{{ kept(j) }}
//%- endfor
//% endfor
        }
//% endif
//% endmacro

@compute @workgroup_size({{ workgroup }})
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let i = (group.x + group.y * 65535u) * {{ workgroup // across }}u + t / ACROSS;
    let lane = t % ACROSS;
    let row = min(i, params.count - 1u) * params.n;
//% for j in range(each // 4)
    let first{{ j }} = 4u * lane + {{ 4 * j * across }}u;
    let keys{{ j }} = keys_at(row, first{{ j }});
//% endfor
//% for e in range(each)
    var k{{ e }} = keys{{ e // 4 }}.{{ "xyzw"[e % 4] }};
//% if mode == "pairs"
    var p{{ e }} = first{{ e // 4 }} + {{ e % 4 }}u;
//% endif
//% endfor
//% for size in range(1, bits[each] + 1)
//% for e in range(each)
//% if not e // 2 ** (size - 1) % 2
{{ ordered(e, e // 2 ** size * 2 ** size + 2 ** size - 1 - e % 2 ** size) }}
//%- endif
//% endfor
{{ merged(size - 2) }}
//%- endfor
    for (var mirror = 1u; mirror < ACROSS; mirror = 2u * mirror + 1u) {
        {
            let front = (lane & ((mirror + 1u) / 2u)) == 0u;
{{ crossed("mirror", true) }}
        }
        for (var step = (mirror + 1u) / 4u; step > 0u; step /= 2u) {
            let front = (lane & step) == 0u;
{{ crossed("step", false) }}
        }
{{ merged(bits[each] - 1) }}
    }
    if (i >= params.count) { return; }
//% for j in range(each // 4)
//% set four = "vec4<u32>(%s%d, %s%d, %s%d, %s%d)" % (own[-1], 4 * j, own[-1], 4 * j + 1, own[-1], 4 * j + 2, own[-1], 4 * j + 3)
//% if mode == "keys"
//% if descending
    let v{{ j }} = number_of(reversed_key({{ four }}));
//% else
    let v{{ j }} = number_of({{ four }});
//% endif
//% else
//% if mode == "packed"
    let v{{ j }} = vec4<i32>({{ four }} & vec4<u32>(8191u));
//% else
    let v{{ j }} = vec4<i32>({{ four }});
//% endif
//% endif
    let e{{ j }} = {{ each }}u * lane + {{ 4 * j }}u;
//% if aligned
//% if mode == "keys"
    if (e{{ j }} < params.n) { y[(row + e{{ j }}) / 4u] = {{ typed.stored(kind, "v%d" % j) }}; }
//% else
    if (e{{ j }} < params.n) { y[(row + e{{ j }}) / 4u] = v{{ j }}; }
//% endif
//% else
//% for c in range(4)
    if (e{{ j }} + {{ c }}u < params.n) { y[row + e{{ j }} + {{ c }}u] = v{{ j }}[{{ c }}]; }
//% endfor
//% endif
//% endfor
}
