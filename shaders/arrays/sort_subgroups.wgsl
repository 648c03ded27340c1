// Moves the keys of a radix sort to their places, a workgroup a tile of {{ tile }} keys, on GPUs with subgroups of
// {{ lanes }} lanes. A subgroup takes neighbouring keys, {{ lanes }} at a time: the lanes find by ballots who has the same
// digit (Merrill and Grimshaw 2011, Adinets and Merrill 2022), and the first of them counts for all.
// The tile is put in order in workgroup memory, so that runs of a digit are written as runs.
//
// Workgroup memory: {{ (4 * ([groups * 2 ** bits, tile] | max) + 8 * 2 ** bits) // 1024 }} KiB, so little that a GPU with 48 takes two workgroups at once.
// Limits: 2^32 keys; a row of 65535 workgroups, then the next.
//% set each = tile // workgroup
enable subgroups;
//% include "arrays/sort.wgsl"
//% include "arrays/sort_operands.wgsl"

const LANES = {{ lanes }}u;
const GROUPS = {{ groups }}u;
const WORKGROUP = {{ workgroup }}u;

// How often each subgroup has met each digit, then how often earlier ones have; then the tile in order.
var<workgroup> met: array<atomic<u32>, {{ [groups * 2 ** bits, tile] | max }}>;
var<workgroup> sums: array<u32, GROUPS>;
// The place in the tile of its first key of a digit, and where that goes in the row, less the former.
var<workgroup> starts: array<u32, DIGITS>;
var<workgroup> goal: array<u32, DIGITS>;

// Lanes with the same digit, as bits.
fn peers(d: u32) -> vec{{ 2 }}<u32> {
    var same = vec2<u32>(0xffffffffu);
//% for bit in range(bits)
    let b{{ bit }} = subgroupBallot(((d >> {{ bit }}u) & 1u) == 1u).xy;
    same &= select(~b{{ bit }}, b{{ bit }}, ((d >> {{ bit }}u) & 1u) == 1u);
//% endfor
//% if lanes == 64
    return same & vec2<u32>(0xffffffffu, 0xffffffffu);
//% elif lanes == 32
    return same & vec2<u32>(0xffffffffu, 0u);
//% else
    return same & vec2<u32>({{ 2 ** lanes - 1 }}u, 0u);
//% endif
}

// Exclusive sums over the workgroup's lanes.
fn scanned(v: u32, t: u32, lane: u32) -> u32 {
    let below = subgroupExclusiveAdd(v);
    if (lane == LANES - 1u) { sums[t / LANES] = below + v; }
    workgroupBarrier();
    var before = 0u;
    for (var g = 0u; g < GROUPS; g++) { before += select(0u, sums[g], g < t / LANES); }
    workgroupBarrier();
    return before + below;
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    let i = group.x + group.y * 65535u;
    if (i >= params.count) { return; }
    let tile = i % params.tiles;
    let last = i - tile + params.tiles - 1u;
    let row = i / params.tiles * params.n;
    let begin = tile * {{ tile }}u;
    let own = t / LANES;
    for (var k = t; k < GROUPS * DIGITS; k += WORKGROUP) { atomicStore(&met[k], 0u); }
    workgroupBarrier();
    let below = vec2<u32>(
        select(0xffffffffu, (1u << (lane & 31u)) - 1u, lane < 32u),
        select(0u, (1u << (lane & 31u)) - 1u, lane >= 32u),
    );
    let k0 = begin + own * ({{ each }}u * LANES) + lane;
//% for j in range(each)
    let at{{ j }} = k0 + {{ j }}u * LANES;
    var key{{ j }} = key_from(x[row + min(at{{ j }}, params.n - 1u)]);
    // What lies beyond the row's end has the largest digit and comes last.
    key{{ j }} = select(0xffffffffu, key{{ j }}, at{{ j }} < params.n);
//% if places
//% if first
    let place{{ j }} = i32(at{{ j }});
//% else
    let place{{ j }} = place[row + min(at{{ j }}, params.n - 1u)];
//% endif
//% endif
//% endfor
    let d = min(t, DIGITS - 1u);
    let all = select(0u, before[last * DIGITS + d] + counts[last * DIGITS + d], t < DIGITS);
    let earlier = before[i * DIGITS + d];
//% for j in range(each)
    let d{{ j }} = digit_of(key{{ j }});
    let p{{ j }} = peers(d{{ j }});
    let ahead{{ j }} = countOneBits(p{{ j }} & below);
    let total{{ j }} = countOneBits(p{{ j }});
    let leader{{ j }} = select(firstTrailingBit(p{{ j }}.y) + 32u, firstTrailingBit(p{{ j }}.x), p{{ j }}.x != 0u);
    var old{{ j }} = 0u;
    if (lane == leader{{ j }}) {
        old{{ j }} = atomicAdd(&met[own * DIGITS + d{{ j }}], total{{ j }}.x + total{{ j }}.y);
    }
    let rank{{ j }} = subgroupShuffle(old{{ j }}, leader{{ j }}) + ahead{{ j }}.x + ahead{{ j }}.y;
//% endfor
    workgroupBarrier();
    var sum = 0u;
    for (var g = 0u; g < GROUPS && t < DIGITS; g++) {
        let some = atomicLoad(&met[g * DIGITS + t]);
        atomicStore(&met[g * DIGITS + t], sum);
        sum += some;
    }
    let start = scanned(sum, t, lane);
    let smaller = scanned(all, t, lane);
    if (t < DIGITS) {
        starts[t] = start;
        goal[t] = row + smaller + earlier - start;
    }
    workgroupBarrier();
//% for j in range(each)
    let to{{ j }} = starts[d{{ j }}] + atomicLoad(&met[own * DIGITS + d{{ j }}]) + rank{{ j }};
//% endfor
    workgroupBarrier();
//% for j in range(each)
    atomicStore(&met[to{{ j }}], key{{ j }});
//% endfor
    workgroupBarrier();
    let valid = min({{ tile }}u, params.n - begin);
//% for j in range(each)
    let i{{ j }} = t + {{ workgroup * j }}u;
    let moved{{ j }} = atomicLoad(&met[i{{ j }}]);
    let g{{ j }} = goal[digit_of(moved{{ j }})] + i{{ j }};
    if (i{{ j }} < valid) { move_key(g{{ j }}, moved{{ j }}); }
//% endfor
//% if places
    workgroupBarrier();
//% for j in range(each)
    atomicStore(&met[to{{ j }}], bitcast<u32>(place{{ j }}));
//% endfor
    workgroupBarrier();
//% for j in range(each)
    if (i{{ j }} < valid) { y_place[g{{ j }}] = bitcast<i32>(atomicLoad(&met[i{{ j }}])); }
//% endfor
//% endif
}
