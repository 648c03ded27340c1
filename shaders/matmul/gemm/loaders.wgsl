// For matrix units (Dawn): a product whose operands are loaded by subgroups that do nothing else.
//
// A workgroup makes BM x BN results; some of its subgroups multiply, WM x WN of them each. The others, in
// groups of two, fill a ring of slices of K in workgroup memory. A group's turn are all slices but one: it
// stores them, one a step, and then loads what it stores next, which has the turns of the other groups to
// arrive. Those who multiply never wait for memory, nor hold registers for what is on its way. In rings of
// three slices they read a step's first operands before the barrier in front of it.
//
// Loaders and multipliers have loops of their own, so that neither holds the other's registers, and barriers
// in them that meet: WGSL does not promise that, but cards do that count who comes to one (NVIDIA's).
//
// Layout: rows in workgroup memory are padded by 16 bytes; what eight lanes store of A, and of B where they
// store of one row, lies in eight banks of 16 bytes. Lanes side by side load a row's channels of a turn, so
// that each line of the cache is asked for once.
//
// Limits: one source of f16 without a window; K whole, in turns, one for each group at least; weight columns
// of 8; subgroups of 32; sizes as `Tile` demands.
//% set members = (bm // wm) * (bn // wn)
//% set groups = loaders // 2
//% set slices = stages - 1
//% set turn = bk * slices
//% set steps = k // bk
//% set early = [2, wn // 16] | min if slices == 2 else 0
//% set teams = 1
//% set split = false
//% set unit = 8
//% set threads = (members + loaders) * 32
//% set fm = wm // 16
//% set fn = wn // 16
//% set la = (bk + 8) // 8
//% set lb = (bn + 8) // 8
//% set ep = (wn + 8) // 4
//% set stage = bm * la + bk * lb
//% set a_rows = 512 // turn
//% set a_loads = bm // a_rows
//% set b_loads = bk * bn // 512
//% set plain = not (bias or per_image or residual) and activation == "none"
//% set direct = plain and out == "f32" and filled and exact
//% set wide = not direct and activation != "geglu"
//% set piece = "f16x8"
//% set words = [stages * stage, 0 if direct else members * 16 * ep] | max
//% include "matmul/gemm/operands.wgsl"

//% include "matmul/gemm/matrix_tile.wgsl"

const STEPS = {{ steps }}u;
const TURNS = {{ steps // slices }}u;
const LAST_SLOT = {{ stages - 1 }}u * STAGE_WORDS;

fn next_slot(slot: u32) -> u32 { return select(slot + STAGE_WORDS, 0u, slot == LAST_SLOT); }

@compute @workgroup_size({{ threads }})
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(subgroup_invocation_id) lane: u32,
) {
//% include "matmul/gemm/block.wgsl"
//% if activation == "geglu"
    let columns8 = params.n / 8u * 2u;
//% else
    let columns8 = params.n / 8u * 1u;
//% endif
//% macro load_after(turns)
    {
//% for i in range([slices, a_loads] | min if whole else a_loads)
        a{{ i }} += {{ turns }} * {{ turn // 8 }}u;
//% endfor
//% for i in range(bases)
        b{{ i }} += {{ turns }} * {{ turn }}u * columns8;
//% endfor
//% for i in range(a_loads)
//% if whole
        va{{ i }} = x[a{{ i % slices }} + {{ i // slices * slices * a_rows }}u * width];
//% else
        va{{ i }} = x[a{{ i }}];
//% endif
//% endfor
//% for slice in range(slices)
//% for i in range(b_loads)
        vb{{ slice }}_{{ i }} = w[b{{ i % bases }} + {{ slice * bk + i // bases * bases * 512 // bn }}u * columns8];
//% endfor
//% endfor
    }
//% endmacro
//% macro put(slice, slot)
    {
        let to = {{ slot }};
//% for i in range(a_loads // slices)
//% if slices == 1
        tile[to + sa0 + {{ i * a_rows * la }}u] = va{{ i }};
//% else
        tile[to + sa{{ slice }} + {{ i * 2 * a_rows * la }}u] = select(va{{ 2 * i + slice }}, va{{ 2 * i + 1 - slice }}, second);
//% endif
//% endfor
//% for i in range(b_loads)
        tile[to + sb{{ i % bases }} + {{ i // bases * bases * 512 // bn * lb }}u] = vb{{ slice }}_{{ i }};
//% endfor
    }
//% endmacro
//% macro left(name, slot, i, kk)
        {{ name }} = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&tile, {{ slot }}u * STAGE_WORDS + (wm + {{ 16 * i }}u) * LA + {{ kk // 8 }}u, LA);
//% endmacro
//% macro right(name, slot, j, kk)
        {{ name }} = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&tile, {{ slot }}u * STAGE_WORDS + A_WORDS + {{ kk * lb }}u + wn / 8u + {{ 2 * j }}u, LB);
//% endmacro
//% macro read_early(slot)
//% for i in range(fm)
{{ left("early_a%d" % i, slot, i, 0) }}
//% endfor
//% for j in range(early)
{{ right("early_b%d" % j, slot, j, 0) }}
//% endfor
//% endmacro
//% macro multiply(slot)
//% for kk in range(0, bk, 16)
        {
//% for i in range(fm)
//% if early
        let a{{ i }} = early_a{{ i }};
//% else
{{ left("let a%d" % i, slot, i, kk) }}
//% endif
//% endfor
//% for j in range(fn)
//% if j < early
        let b{{ j }} = early_b{{ j }};
//% else
{{ right("let b%d" % j, slot, j, kk) }}
//% endif
//% if early and loop.last
{{ read_early((slot + 1) % stages) }}
//% endif
//% for i in range(fm)
            c{{ i }}_{{ j }} = subgroupMatrixMultiplyAccumulate(a{{ i }}, b{{ j }}, c{{ i }}_{{ j }});
//% endfor
//% endfor
        }
//% endfor
        workgroupBarrier();
//% endmacro
    if (subgroup >= MEMBERS) {
        let g = (subgroup - MEMBERS) / 2u;
        let t = (invocation - MEMBERS * 32u) % 64u;
        let word = t % {{ turn // 8 }}u;
        let u = t / {{ turn // 8 }}u;
//% if slices == 2
        // Of even loads a lane has a word of one slice, of odd loads one of the other, two rows further on.
        let second = word >= 2u;
        let row = ((u & 1u) << 2u) | ((u >> 1u) & 1u) | ((u >> 2u) << 3u);
        let sa0 = (row + select(0u, 2u, second)) * LA + word % 2u;
        let sa1 = (row + select(2u, 0u, second)) * LA + word % 2u;
//% else
//% if turn == 32
        let row = (u & ~7u) | ((u & 1u) << 2u) | ((u >> 1u) & 3u);
//% else
        let row = u;
//% endif
        let sa0 = row * LA + word;
//% endif
        let width = channels(0u) / 8u;
//% for i in range([slices, a_loads] | min if whole else a_loads)
//% set below = i // slices * slices * a_rows + i % slices * 2
//% if whole
        var a{{ i }} = first_pixel(row_of(m0 + row + {{ below }}u)) * width + (word ^ {{ i % slices * 2 }}u);
//% else
        var a{{ i }} = first_pixel(row_of(min(m0 + row + {{ below }}u, params.m - 1u))) * width + (word ^ {{ i % slices * 2 }}u);
//% endif
//% endfor
//% for i in range(bases)
        let kb{{ i }} = (t + {{ 64 * i }}u) / (BN / 8u);
        let cb{{ i }} = (t + {{ 64 * i }}u) % (BN / 8u);
        let sb{{ i }} = A_WORDS + kb{{ i }} * LB + cb{{ i }};
//% if batched
        var b{{ i }} = (batch * depth() + kb{{ i }}) * columns8 + min(chunk_column(block, cb{{ i }}), columns8 - 1u);
//% else
        var b{{ i }} = (kb{{ i }}) * columns8 + min(chunk_column(block, cb{{ i }}), columns8 - 1u);
//% endif
//% endfor
//% for i in range(a_loads)
        var va{{ i }} = vec4<u32>();
//% endfor
//% for slice in range(slices)
//% for i in range(b_loads)
        var vb{{ slice }}_{{ i }} = vec4<u32>();
//% endfor
//% endfor
{{ load_after("g") }}
        // The first group stores its first turn before the first step; a turn is stored while the one before
        // is multiplied.
        var turn = g;
        if (g == 0u) {
//% for slice in range(slices)
{{ put(slice, "%du * STAGE_WORDS" % slice) }}
//% endfor
//% if steps // slices > groups
{{ load_after("%du" % groups) }}
//% endif
            turn = {{ groups }}u;
        }
        workgroupBarrier();
        var step = (turn - 1u) * {{ slices }}u;
        for (var i = 0u; i < step; i += 1u) { workgroupBarrier(); }
        var slot = turn * {{ slices }}u % {{ stages }}u * STAGE_WORDS;
        while (turn < TURNS) {
//% for slice in range(slices)
{{ put(slice, "slot") }}
            slot = next_slot(slot);
            workgroupBarrier();
//% endfor
            turn += {{ groups }}u;
            step += {{ slices }}u;
//% for i in range((groups - 1) * slices % stages)
            slot = next_slot(slot);
//% endfor
            // As the next condition, in other words: loads in one branch with barriers are put off until
            // after these.
            if (turn < TURNS) {
{{ load_after("%du" % groups) }}
            }
            if (step + {{ groups * slices }}u < STEPS) {
                step += {{ (groups - 1) * slices }}u;
//% for i in range((groups - 1) * slices)
                workgroupBarrier();
//% endfor
            }
        }
        while (step < STEPS) {
            workgroupBarrier();
            step += 1u;
        }
//% for i in range(0 if direct else 2 * fm)
        workgroupBarrier();
//% endfor
    } else {
    let team = 0u;
    let member = subgroup;
    let wm = member % {{ bm // wm }}u * {{ wm }}u;
    let wn = member / {{ bm // wm }}u * {{ wn }}u;
//% for i in range(fm)
//% for j in range(fn)
    var c{{ i }}_{{ j }}: subgroup_matrix_result<f32, 16, 16>;
//% endfor
//% endfor
//% if early
//% for i in range(fm)
    var early_a{{ i }}: subgroup_matrix_left<f16, 16, 16>;
//% endfor
//% for j in range(early)
    var early_b{{ j }}: subgroup_matrix_right<f16, 16, 16>;
//% endfor
//% endif
    workgroupBarrier();
//% if early
{{ read_early(0) }}
    // After the last step operands are still read, early, from a slot of old ones: nobody uses those.
//% endif
    for (var step = 0u; step < {{ steps // stages * stages }}u; step += {{ stages }}u) {
//% for slot in range(stages)
{{ multiply(slot) }}
//% endfor
    }
//% for slot in range(steps % stages)
{{ multiply(slot) }}
//% endfor
//% include "matmul/gemm/matrix_results.wgsl"
    }
}
