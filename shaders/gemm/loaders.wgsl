// For matrix units (Dawn): a product whose operands are loaded by subgroups that do nothing else.
//
// A workgroup makes BM x BN results; `members` of its subgroups multiply, WM x WN of them each, and two
// groups of loaders fill a ring of three slices of 16 of K in workgroup memory, two steps ahead. K goes by
// in pairs of slices, the groups in turn: a group stores a slice in each of two steps and then loads its
// next pair, which has two steps to arrive. Those who multiply never wait for memory, nor hold registers
// for what is on its way; they read a step's first operands before the barrier in front of it.
//
// A lane loads words of 32 consecutive channels with three neighbours, so that each line of the cache is
// asked for once: of even loads it has a word of one slice, of odd loads one of the other. Rows in
// workgroup memory are padded by 16 bytes; what eight lanes store lies in eight banks of 16 bytes.
//
// Where barriers may stand apart, in the loop of the loaders and in that of the others, registers are
// those of the larger of the two; elsewhere (uniform control flow) there is one loop for both.
//
// After the last step operands are still read, early, from a slot that may be written: nobody uses those.
//
// Limits: one source of f16 without a window, K whole and a multiple of 64, weight columns of 8, subgroups
// of 32; BK is 16, `loaders` even, BM and BN multiples of 8 loaders, BN / 8 a divisor of 16 loaders.
//% set members = (bm // wm) * (bn // wn)
//% set teams = 1
//% set split = false
//% set unit = 8
//% set lanes = 16 * loaders
//% set threads = (members + loaders) * 32
//% set fm = wm // 16
//% set fn = wn // 16
//% set la = 3
//% set lb = (bn + 8) // 8
//% set ep = (wn + 8) // 4
//% set stage = bm * la + 16 * lb
//% set a_loads = 4 * bm // lanes
//% set b_loads = 2 * bn // lanes
//% set early = [2, fn] | min
//% set plain = not (bias or per_image or residual) and activation == "none"
//% set direct = plain and out == "f32" and filled and exact
//% set wide = not direct and activation != "geglu"
//% set piece = "f16x8"
//% set words = [3 * stage, 0 if direct else members * 16 * ep] | max
//% include "gemm/operands.wgsl"

//% include "gemm/matrix_tile.wgsl"

const PAIRS = {{ steps // 2 }}u;

@compute @workgroup_size({{ threads }})
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(subgroup_invocation_id) lane: u32,
) {
//% include "gemm/block.wgsl"
    let columns8 = params.n / 8u * {{ "2u" if activation == "geglu" else "1u" }};
//% macro begin_loading()
    let g = (subgroup - MEMBERS) / {{ loaders // 2 }}u;
    let t = (invocation - MEMBERS * 32u) % {{ lanes }}u;
    let word = t % 4u;
    let quad = t / 4u;
    let second = word >= 2u;
    // Of eight lanes the two rows of an even load lie four apart; those of odd loads, two further on.
    let row = ((quad & 1u) << 2u) | ((quad >> 1u) & 1u) | ((quad >> 2u) << 3u);
    let width = channels(0u) / 8u;
//% if whole
    var a0 = first_pixel(row_of(m0 + row)) * width + word;
    var a1 = first_pixel(row_of(m0 + row + 2u)) * width + (word ^ 2u);
//% else
//% for i in range(a_loads)
    var a{{ i }} = first_pixel(row_of(min(m0 + row + {{ i // 2 * lanes // 2 + i % 2 * 2 }}u, params.m - 1u))) * width + (word ^ {{ i % 2 * 2 }}u);
//% endfor
//% endif
    let kb = t / (BN / 8u);
    let cb = t % (BN / 8u);
    var b = ({{ "batch * depth() + " if batched }}kb) * columns8 + min(chunk_column(block, cb), columns8 - 1u);
    // Where the words of a pair's first slice go, and those of its second.
    let sa0 = (row + select(0u, 2u, second)) * LA + word % 2u;
    let sa1 = (row + select(2u, 0u, second)) * LA + word % 2u;
    let sb = A_WORDS + kb * LB + cb;
    var pair = g;
    var slot = 0u;
//% for i in range(a_loads)
    var va{{ i }} = vec4<u32>();
//% endfor
//% for half in range(2)
//% for i in range(b_loads)
    var vb{{ half }}_{{ i }} = vec4<u32>();
//% endfor
//% endfor
//% endmacro
//% macro load_pair_after(pairs)
    {
//% for i in range([2, a_loads] | min if whole else a_loads)
        a{{ i }} += {{ pairs }} * 4u;
//% endfor
        b += {{ pairs }} * 32u * columns8;
//% for i in range(a_loads)
        va{{ i }} = x[{{ "a%d + %du * width" % (i % 2, i // 2 * lanes // 2) if whole else "a%d" % i }}];
//% endfor
//% for half in range(2)
//% for i in range(b_loads)
        vb{{ half }}_{{ i }} = w[b + {{ 16 * half + i * lanes * 8 // bn }}u * columns8];
//% endfor
//% endfor
    }
//% endmacro
//% macro put(half, slot)
    {
        let to = {{ slot }};
//% for i in range(a_loads // 2)
        tile[to + sa{{ half }} + {{ i * lanes // 2 * la }}u] = select(va{{ 2 * i + half }}, va{{ 2 * i + 1 - half }}, second);
//% endfor
//% for i in range(b_loads)
        tile[to + sb + {{ i * lanes * 8 // bn * lb }}u] = vb{{ half }}_{{ i }};
//% endfor
    }
//% endmacro
//% macro left(name, from, i)
            {{ name }} = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&tile, {{ from }} + (wm + {{ 16 * i }}u) * LA, LA);
//% endmacro
//% macro right(name, from, j)
            {{ name }} = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&tile, {{ from }} + A_WORDS + wn / 8u + {{ 2 * j }}u, LB);
//% endmacro
//% macro read_early(from)
//% for i in range(fm)
{{ left("early_a" ~ i, from, i) }}
//% endfor
//% for j in range(early)
{{ right("early_b" ~ j, from, j) }}
//% endfor
//% endmacro
//% macro begin_products()
    let team = 0u;
    let member = subgroup;
    let wm = member % {{ bm // wm }}u * {{ wm }}u;
    let wn = member / {{ bm // wm }}u * {{ wn }}u;
//% for i in range(fm)
    var early_a{{ i }}: subgroup_matrix_left<f16, 16, 16>;
//% for j in range(fn)
    var c{{ i }}_{{ j }}: subgroup_matrix_result<f32, 16, 16>;
//% endfor
//% endfor
//% for j in range(early)
    var early_b{{ j }}: subgroup_matrix_right<f16, 16, 16>;
//% endfor
//% endmacro
//% macro multiply(here, next)
        {
//% for i in range(fm)
            let a{{ i }} = early_a{{ i }};
//% endfor
//% for j in range(fn)
//% if j < early
            let b{{ j }} = early_b{{ j }};
//% else
{{ right("let b" ~ j, here, j) }}
//% endif
//% if j == fn - 1
{{ read_early(next) }}
//% endif
//% for i in range(fm)
            c{{ i }}_{{ j }} = subgroupMatrixMultiplyAccumulate(a{{ i }}, b{{ j }}, c{{ i }}_{{ j }});
//% endfor
//% endfor
        }
//% endmacro
//% macro first_pairs()
    // The first group stores the first pair, and goes on with the third.
{{ load_pair_after("g") }}
    slot = 2u * STAGE_WORDS;
    if (g == 0u) {
{{ put(0, "0u") }}
{{ put(1, "STAGE_WORDS") }}
//% if steps > 4
{{ load_pair_after("2u") }}
//% endif
        pair = 2u;
        slot = STAGE_WORDS;
    }
//% endmacro
//% set following = "select(slot + STAGE_WORDS, 0u, slot == 2u * STAGE_WORDS)"
//% macro advance()
        pair += 2u;
        slot = {{ following }};
        // A branch, lest compilers put the loads off until they are needed.
        if (pair < PAIRS) {
{{ load_pair_after("2u") }}
        }
//% endmacro
//% if apart
    if (subgroup >= MEMBERS) {
{{ begin_loading() }}
{{ first_pairs() }}
        workgroupBarrier();
        // Of each four steps the second group stores in the first two, the first in the last two; what that
        // stores past the end nobody reads. Others' steps are waited for at the end of a turn: a compiler
        // that copies what is loaded to other registers waits for it where a turn begins.
        if (g == 0u) {
            workgroupBarrier();
            workgroupBarrier();
        }
        while (pair <= PAIRS) {
{{ put(0, "slot") }}
            workgroupBarrier();
{{ put(1, following) }}
            workgroupBarrier();
{{ advance() }}
            if (pair <= PAIRS + 1u) {
                workgroupBarrier();
                workgroupBarrier();
            }
        }
//% for i in range(0 if direct else 2 * fm)
        workgroupBarrier();
//% endfor
    } else {
{{ begin_products() }}
    workgroupBarrier();
{{ read_early("0u") }}
    for (var step = 0u; step < {{ steps // 3 * 3 }}u; step += 3u) {
//% for slice in range(3)
{{ multiply("%du * STAGE_WORDS" % slice, "%du * STAGE_WORDS" % ((slice + 1) % 3)) }}
        workgroupBarrier();
//% endfor
    }
//% for slice in range(steps % 3)
{{ multiply("%du * STAGE_WORDS" % slice, "%du * STAGE_WORDS" % (slice + 1)) }}
    workgroupBarrier();
//% endfor
//% include "gemm/matrix_results.wgsl"
    }
//% else
{{ begin_loading() }}
{{ begin_products() }}
    var here = 0u;
    if (subgroup >= MEMBERS) {
{{ first_pairs() }}
    }
    workgroupBarrier();
    if (subgroup < MEMBERS) {
{{ read_early("here") }}
    }
    for (var first = 0u; first < {{ steps }}u; first += 4u) {
//% for step in range(4)
        let next{{ step }} = select(here + STAGE_WORDS, 0u, here == 2u * STAGE_WORDS);
        if (subgroup < MEMBERS) {
{{ multiply("here", "next%d" % step) }}
        } else if (g == {{ 1 - step // 2 }}u) {
//% if step % 2
{{ put(1, following) }}
{{ advance() }}
//% else
{{ put(0, "slot") }}
//% endif
        }
        here = next{{ step }};
        workgroupBarrier();
//% endfor
    }
//% include "gemm/matrix_results.wgsl"
//% endif
}
