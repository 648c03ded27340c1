// Moves the keys of a radix sort to their places, a workgroup a tile of {{ tile }} keys, on GPUs with subgroups of
// {{ lanes }} lanes. A subgroup takes neighbouring keys, {{ lanes }} at a time: the lanes find by ballots who has the same
// digit (Merrill and Grimshaw 2011, Adinets and Merrill 2022), and the first of them counts for all.
// The tile is put in order in workgroup memory, so that runs of a digit are written as runs.
//
// Workgroup memory: {{ (4 * (groups * 2 ** bits + tile + 512 + 2 ** bits)) // 1024 }} KiB. Limits: 2^32 keys; a row of 65535 workgroups, then the next.
//% set each = tile // 256
//% if enable_subgroups
enable subgroups;
//% endif
//% include "arrays/sort.wgsl"
//% include "arrays/sort_operands.wgsl"

const LANES = {{ lanes }}u;
const GROUPS = {{ groups }}u;

// How often each subgroup has met each digit, then how often earlier ones have.
var<workgroup> met: array<atomic<u32>, GROUPS * DIGITS>;
var<workgroup> moved: array<u32, {{ tile }}>;
var<workgroup> sums: array<u32, 512>;
// Where the tile's first key of a digit goes in the row, less its place in the tile.
var<workgroup> goal: array<u32, DIGITS>;

// Lanes with the same digit, as bits.
fn peers(d: u32) -> vec{{ 2 }}<u32> {
    var same = vec2<u32>(0xffffffffu);
//% for bit in range(bits)
    let b{{ bit }} = subgroupBallot(((d >> {{ bit }}u) & 1u) == 1u).xy;
    same &= select(~b{{ bit }}, b{{ bit }}, ((d >> {{ bit }}u) & 1u) == 1u);
//% endfor
    return same & vec2<u32>({{ "0xffffffffu, 0xffffffffu" if lanes == 64 else "0xffffffffu, 0u" if lanes == 32 else "%du, 0u" % (2 ** lanes - 1) }});
}

// Exclusive sums over the workgroup's 256 lanes.
fn scanned(v: u32, lane: u32) -> u32 {
    sums[lane] = v;
    var side = 0u;
    for (var step = 1u; step < 256u; step *= 2u) {
        workgroupBarrier();
        var s = sums[side + lane];
        if (lane >= step) { s += sums[side + lane - step]; }
        side = 256u - side;
        sums[side + lane] = s;
    }
    workgroupBarrier();
    return sums[side + lane] - v;
}

@compute @workgroup_size(256)
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
    for (var k = t; k < GROUPS * DIGITS; k += 256u) { atomicStore(&met[k], 0u); }
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
//% endfor
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
    let start = scanned(sum, t);
    workgroupBarrier();
    let d = min(t, DIGITS - 1u);
    let all = select(0u, before[last * DIGITS + d] + counts[last * DIGITS + d], t < DIGITS);
    let smaller = scanned(all, t);
    workgroupBarrier();
    if (t < DIGITS) {
        sums[t] = start;
        goal[t] = row + smaller + before[i * DIGITS + t] - start;
    }
    workgroupBarrier();
//% for j in range(each)
    let to{{ j }} = sums[d{{ j }}] + atomicLoad(&met[own * DIGITS + d{{ j }}]) + rank{{ j }};
    moved[to{{ j }}] = key{{ j }};
//% endfor
    workgroupBarrier();
    let valid = min({{ tile }}u, params.n - begin);
//% for j in range(each)
    let i{{ j }} = t + {{ 256 * j }}u;
    let g{{ j }} = goal[digit_of(moved[i{{ j }}])] + i{{ j }};
    if (i{{ j }} < valid) { move_key(g{{ j }}, moved[i{{ j }}]); }
//% endfor
//% if places
    workgroupBarrier();
//% for j in range(each)
    moved[to{{ j }}] = {{ "at%d" % j if first else "bitcast<u32>(place[row + min(at%d, params.n - 1u)])" % j }};
//% endfor
    workgroupBarrier();
//% for j in range(each)
    if (i{{ j }} < valid) { y_place[g{{ j }}] = bitcast<i32>(moved[i{{ j }}]); }
//% endfor
//% endif
}
