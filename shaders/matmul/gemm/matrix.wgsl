// For matrix units (Dawn): f16 operands, f32 accumulators, 16 x 16 x 16 products.
//
// A workgroup makes BM x BN results from slices of BK staged in workgroup memory as 16-byte words; a
// subgroup of 32 makes WM x WN of them. While a slice is multiplied, the next one is on its way in
// registers. Rows in workgroup memory are padded by 16 bytes against bank conflicts. Results leave
// through workgroup memory, 16 rows of a subgroup at a time, since accumulators have no element
// access; those of a split product (over K, by workgroups of the third dimension) go to `partials` as
// they are.
//
// K may also be cut within a workgroup: each team of its subgroups makes all BM x BN results of a part
// of its own, from slices of its own, so that more loads are under way. The first team's results are
// added to the others' while they leave; in a split product each part has its partials.
//
// Where channels do not fill words (unit < 8), K is one run over all taps and channels, and a word of it
// is read piece by piece.
//
// Rows and columns past the end read what is there for others; they are not stored.
// Workgroup memory: 16 * max(teams * (BM * LA + BK * LB), subgroups * 16 * EP) bytes.
// Limits: weight columns multiples of 8, channels too but for one source under a window, windows of up
// to 30 taps, f16, subgroups of 32.
//% set members = (bm // wm) * (bn // wn)
//% set subgroups = teams * members
//% set threads = members * 32
//% set fm = wm // 16
//% set fn = wn // 16
//% set la = (bk + 8) // 8
//% set lb = (bn + 8) // 8
//% set ep = (wn + 8) // 4
//% set a_loads = (bm * bk // 8 + threads - 1) // threads
//% set b_loads = (bn * bk // 8 + threads - 1) // threads
//% set plain = not (bias or per_image or residual) and activation == "none"
//% set direct = split or (plain and out == "f32" and filled and exact and teams == 1)
//% set wide = not direct and activation != "geglu"
//% set piece = {"1": "f16", "2": "f16x2", "4": "f16x4", "8": "f16x8"}[unit | string]
//% set words = [teams * (bm * la + bk * lb), 0 if direct else subgroups * 16 * ep] | max
//% from "matmul/quantized/reading.wgsl" import weight with context
//% include "matmul/gemm/operands.wgsl"

//% include "matmul/gemm/matrix_tile.wgsl"

//% if unit < 8
// Piece p of a row's K: zero outside of the image, and past the end of K.
fn piece(p: u32, row: Row, pixel: u32, seen: u32) -> {{ piece }} {
    let pieces = channels(0u) / {{ unit }}u;
    let tap = p / pieces;
    if (tap >= taps() || ((seen >> tap) & 1u) == 0u) { return {{ piece }}(); }
    return x[tap_pixel(row, pixel, tap, seen) * pieces + p % pieces];
}
//% if unit == 1

fn pair(a: f16, b: f16) -> u32 { return pack2x16float(vec2<f32>(f32(a), f32(b))); }
//% endif

//% endif
@compute @workgroup_size({{ teams * threads }})
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
//% if teams > 1
    let team = subgroup / MEMBERS;
    let member = subgroup % MEMBERS;
    let t = member * 32u + lane;
//% else
    let team = 0u;
    let member = subgroup;
    let t = invocation;
//% endif
    let stage = team * STAGE_WORDS;
    let wm = member % {{ bm // wm }}u * {{ wm }}u;
    let wn = member / {{ bm // wm }}u * {{ wn }}u;

    // An invocation loads the same word of some rows of A, and, where a row's words divide the
    // invocations, of some rows of B: their addresses differ by constants, and take few registers.
    let ka = t % BK8;
//% if bk == 32
    // Eight neighbours store words of two rows, four apart: those lie in eight banks.
    let r0 = t / BK8;
    let ra = (r0 & ~7u) | ((r0 & 1u) << 2u) | ((r0 >> 1u) & 3u);
//% else
    let ra = t / BK8;
//% endif
//% for i in range(a_loads)
//% if (i + 1) * threads <= bm * bk // 8
    let ra{{ i }} = ra + {{ i * threads * 8 // bk }}u;
//% else
    let ra{{ i }} = min(ra + {{ i * threads * 8 // bk }}u, BM - 1u);
//% endif
//% if i and whole
    let pixel{{ i }} = pixel0 + {{ i * threads * 8 // bk }}u;
//% else
    let row{{ i }} = row_of(min(m0 + ra{{ i }}, params.m - 1u));
    let pixel{{ i }} = first_pixel(row{{ i }});
//% endif
//% if holes
    let seen{{ i }} = seen_taps(row{{ i }});
//% endif
    var va{{ i }} = vec4<u32>();
//% endfor
//% for i in range(b_loads)
//% set last = bn * bk // 8 - 1
//% set apart = i * threads * 8 // bn
//% if i and threads * 8 % bn == 0 and (i + 1) * threads <= last + 1
    let kb{{ i }} = kb0 + {{ apart }}u;
    let cb{{ i }} = cb0;
    let pb{{ i }} = pb0 + {{ apart }}u * columns8;
//% else
//% if (i + 1) * threads > last + 1
    let eb{{ i }} = {{ "min(t + " ~ i * threads ~ "u, " ~ last ~ "u)" }};
//% else
    let eb{{ i }} = {{ "t + " ~ i * threads ~ "u" }};
//% endif
    let kb{{ i }} = eb{{ i }} / (BN / 8u);
    let cb{{ i }} = eb{{ i }} % (BN / 8u);
    let pb{{ i }} = kb{{ i }} * columns8 + min(chunk_column(block, cb{{ i }}), columns8 - 1u);
//% endif
    var vb{{ i }} = vec4<u32>();
//% endfor
//% for i in range(fm)
//% for j in range(fn)
    var c{{ i }}_{{ j }}: subgroup_matrix_result<f32, 16, 16>;
//% endfor
//% endfor

    // Slices: of each tap, first those of x, then those of x2.
//% if unit == 8
    let width1 = channels(0u) / 8u;
//% else
    let width1 = (taps() * channels(0u) + 7u) / 8u;
//% endif
    let slices1 = (width1 + BK8 - 1u) / BK8;
//% if two
    let width2 = channels(1u) / 8u;
    let slices = slices1 + (width2 + BK8 - 1u) / BK8;
//% else
    let slices = slices1;
//% endif
//% if unit == 8
    let all_steps = taps() * slices;
//% else
    let all_steps = slices;
//% endif
//% if split
    let part = group.z * TEAMS + team;
    let parts = params.splits;
//% else
    let part = team;
    let parts = TEAMS;
//% endif
    let most = (all_steps + parts - 1u) / parts;
    let passed = min(part * most, all_steps);
    let steps = min(most, all_steps - passed);
    // A team without steps loads the last slice, in vain.
    let first = min(passed, all_steps - 1u);
    var tap = first / slices;
    var slice = first % slices;

//% macro load_a(source, width, c)
//% for i in range(a_loads)
//% if unit < 8
        {
            let first = ({{ c }} + ka) * {{ 8 // unit }}u;
//% for p in range(8 // unit)
            let p{{ p }} = piece(first + {{ p }}u, row{{ i }}, pixel{{ i }}, seen{{ i }});
//% endfor
//% if unit == 1
            va{{ i }} = vec4<u32>(pair(p0, p1), pair(p2, p3), pair(p4, p5), pair(p6, p7));
//% else
//% if unit == 4
            va{{ i }} = vec4<u32>(p0, p1);
//% else
            va{{ i }} = vec4<u32>(p0, p1, p2, p3);
//% endif
//% endif
        }
//% else
//% set inside = []
//% if holes
//% set inside = inside + ["((seen" ~ i ~ " >> tap) & 1u) != 0u"]
//% endif
//% if ragged
//% set inside = inside + [c ~ " + ka < " ~ width]
//% endif
//% if inside
        va{{ i }} = vec4<u32>();
        if ({{ inside | join(" && ") }}) {
//% if holes
            va{{ i }} = {{ source }}[tap_pixel(row{{ i }}, pixel{{ i }}, tap, seen{{ i }}) * {{ width }} + {{ c }} + ka];
//% else
            va{{ i }} = {{ source }}[pixel{{ i }} * {{ width }} + {{ c }} + ka];
//% endif
        }
//% else
        va{{ i }} = {{ source }}[pixel{{ i }} * {{ width }} + {{ c }} + ka];
//% endif
//% endif
//% endfor
//% endmacro
//% macro load()
    {
//% if two
    let k_tap = tap * (width1 + width2) * 8u;
    var k = k_tap + slice * {{ bk }}u;
    var left = (width1 - min(slice * BK8, width1)) * 8u;
    if (slice < slices1) {
        let c = slice * BK8;
{{ load_a("x", "width1", "c") }}
    } else {
        let c = (slice - slices1) * BK8;
        k = k_tap + width1 * 8u + c * 8u;
        left = (width2 - c) * 8u;
{{ load_a("x2", "width2", "c") }}
    }
//% else
    let c = slice * BK8;
//% if batched
    let k = batch * depth() + (tap * width1 + c) * 8u;
//% else
    let k = (tap * width1 + c) * 8u;
//% endif
//% if unit < 8
    let left = taps() * channels(0u) - c * 8u;
//% elif ragged
    let left = (width1 - c) * 8u;
//% endif
{{ load_a("x", "width1", "c") }}
//% endif
//% for i in range(b_loads)
//% if ragged
    vb{{ i }} = vec4<u32>();
    if (kb{{ i }} < left) { vb{{ i }} = {{ weight("k * columns8 + pb%d" % i) | trim }}; }
//% else
    vb{{ i }} = {{ weight("k * columns8 + pb%d" % i) | trim }};
//% endif
//% endfor
    }
//% endmacro
    if (steps > 0u) {
{{ load() }}
    }
    // Teams wait for each other, so each takes as many turns as the longest part has steps.
//% if teams > 1
    for (var step = 0u; step < most; step++) {
//% else
    for (var step = 0u; step < steps; step++) {
//% endif
        workgroupBarrier();
//% for i in range(a_loads)
        tile[stage + ra{{ i }} * LA + ka] = va{{ i }};
//% endfor
//% for i in range(b_loads)
        tile[stage + A_WORDS + kb{{ i }} * LB + cb{{ i }}] = vb{{ i }};
//% endfor
        // Past the last slice that one is loaded again: cheaper than a branch around the loads, which
        // stand before a barrier lest compilers put them off until after the products.
        if (step + 1u < steps) {
            slice++;
            if (slice == slices) {
                slice = 0u;
                tap++;
            }
        }
{{ load() }}
        workgroupBarrier();
//% if teams > 1 and not even
        if (step < steps) {
//% else
        {
//% endif
//% for kk in range(0, bk, 16)
        {
//% for i in range(fm)
            let a{{ i }} = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&tile, stage + (wm + {{ 16 * i }}u) * LA + {{ kk // 8 }}u, LA);
//% endfor
//% for j in range(fn)
            let b{{ j }} = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&tile, stage + A_WORDS + {{ kk * lb }}u + wn / 8u + {{ 2 * j }}u, LB);
//% for i in range(fm)
            c{{ i }}_{{ j }} = subgroupMatrixMultiplyAccumulate(a{{ i }}, b{{ j }}, c{{ i }}_{{ j }});
//% endfor
//% endfor
        }
//% endfor
        }
    }

//% include "matmul/gemm/matrix_results.wgsl"
}
