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
//% include "gemm/operands.wgsl"

const BM = {{ bm }}u;
const BN = {{ bn }}u;
const BK8 = {{ bk // 8 }}u;
const LA = {{ la }}u;
const LB = {{ lb }}u;
const EP = {{ ep }}u;
const A_WORDS = {{ bm * la }}u;
const STAGE_WORDS = {{ bm * la + bk * lb }}u;
const TEAMS = {{ teams }}u;
const MEMBERS = {{ members }}u;
const ROW_GROUP = 8u;

var<workgroup> tile: array<vec4<u32>, {{ words }}>;

// Weight column, in units of 8, of a block's local 8-column chunk, or past the end.
fn chunk_column(block: u32, chunk: u32) -> u32 {
//% if activation == "geglu"
    let half = {{ wn // 16 }}u;
    let j = chunk % (2u * half);
    let n = block * (BN / 16u) + chunk / (2u * half) * half + j % half;
    return select(select(n, n + params.n / 8u, j >= half), NONE, n >= params.n / 8u);
//% else
    let n = block * (BN / 8u) + chunk;
    return select(n, NONE, n >= params.n / 8u);
//% endif
}

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
//% if not direct
// Four results of a row, of whose parts each team has left one.
fn sum_of_teams(at: u32) -> vec4<f32> {
    var sum = bitcast<vec4<f32>>(tile[at]);
//% for team in range(1, teams)
    sum += bitcast<vec4<f32>>(tile[at + {{ team * members * 16 * ep }}u]);
//% endfor
    return sum;
}

//% endif
//% if wide
// Eight results of a row.
struct Pair { low: vec4<f32>, high: vec4<f32> }

fn added(a: Pair, b: Pair) -> Pair { return Pair(a.low + b.low, a.high + b.high); }

fn staged(at: u32) -> Pair { return Pair(sum_of_teams(at), sum_of_teams(at + 1u)); }
//% if residual

fn widened(word: f16x8) -> Pair {
    let low = vec4<f32>(unpack2x16float(word.x), unpack2x16float(word.y));
    return Pair(low, vec4<f32>(unpack2x16float(word.z), unpack2x16float(word.w)));
}
//% endif
//% if per_image

// What is added to columns `n`, a word of eight, of all rows of an image.
fn image_pair(image: u32, n: u32) -> Pair {
    let at = image * params.image_pitch + params.image_first + 2u * n;
    return Pair(vec4<f32>(image_bias[at]), vec4<f32>(image_bias[at + 1u]));
}
//% endif
//% if out == "f16"

fn narrowed(v: Pair) -> f16x8 {
    let low = vec2<u32>(pack2x16float(v.low.xy), pack2x16float(v.low.zw));
    return f16x8(low, pack2x16float(v.high.xy), pack2x16float(v.high.zw));
}
//% endif

//% endif
@compute @workgroup_size({{ teams * threads }})
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(subgroup_invocation_id) lane: u32,
) {
//% if batched
    batch = group.z;
//% endif
    // Groups of tile rows walk over the columns together, so that weights stay in the cache.
    let index = group.x + group.y * 65535u;
    let tiles_m = (params.m + BM - 1u) / BM;
    let out_width = {{ "BN / 2u" if activation == "geglu" else "BN" }};
    let tiles_n = (params.n + out_width - 1u) / out_width;
    if (index >= tiles_m * tiles_n) { return; }
    let first_row = index / (ROW_GROUP * tiles_n) * ROW_GROUP;
    let high = min(ROW_GROUP, tiles_m - first_row);
    let inner = index % (ROW_GROUP * tiles_n);
    let m0 = (first_row + inner % high) * BM;
    let block = inner / high;
    let columns8 = params.n / 8u * {{ "2u" if activation == "geglu" else "1u" }};
    let team = {{ "subgroup / MEMBERS" if teams > 1 else "0u" }};
    let member = {{ "subgroup % MEMBERS" if teams > 1 else "subgroup" }};
    let t = {{ "member * 32u + lane" if teams > 1 else "invocation" }};
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
    let ra{{ i }} = {{ "ra + %du" % (i * threads * 8 // bk) if (i + 1) * threads <= bm * bk // 8 else "min(ra + %du, BM - 1u)" % (i * threads * 8 // bk) }};
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
    let eb{{ i }} = {{ "min(t + " ~ i * threads ~ "u, " ~ last ~ "u)" if (i + 1) * threads > last + 1 else "t + " ~ i * threads ~ "u" }};
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
    let width1 = {{ "channels(0u) / 8u" if unit == 8 else "(taps() * channels(0u) + 7u) / 8u" }};
    let slices1 = (width1 + BK8 - 1u) / BK8;
//% if two
    let width2 = channels(1u) / 8u;
    let slices = slices1 + (width2 + BK8 - 1u) / BK8;
//% else
    let slices = slices1;
//% endif
    let all_steps = {{ "taps() * slices" if unit == 8 else "slices" }};
    let part = {{ "group.z * TEAMS + team" if split else "team" }};
    let parts = {{ "params.splits" if split else "TEAMS" }};
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
            va{{ i }} = vec4<u32>({{ "p0, p1" if unit == 4 else "p0, p1, p2, p3" }});
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
            va{{ i }} = {{ source }}[{{ "tap_pixel(row%d, pixel%d, tap, seen%d)" % (i, i, i) if holes else "pixel%d" % i }} * {{ width }} + {{ c }} + ka];
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
    let k = {{ "batch * depth() + " if batched }}(tap * width1 + c) * 8u;
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
    if (kb{{ i }} < left) { vb{{ i }} = w[k * columns8 + pb{{ i }}]; }
//% else
    vb{{ i }} = w[k * columns8 + pb{{ i }}];
//% endif
//% endfor
    }
//% endmacro
    if (steps > 0u) {
{{ load() }}
    }
    // Teams wait for each other, so each takes as many turns as the longest part has steps.
    for (var step = 0u; step < {{ "most" if teams > 1 else "steps" }}; step++) {
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
        {{ "if (step < steps) " if teams > 1 and not even }}{
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

//% if direct
    // Rows and columns of partials are padded to whole tiles.
    let pitch = {{ "tiles_n * (BN / 4u)" if split else "params.n / 4u" }};
    let above = {{ "part * tiles_m * BM" if split else "batch * params.m" if batched else "0u" }};
    let to = (above + m0 + wm) * pitch + block * (BN / 4u) + wn / 4u;
//% for i in range(fm)
//% for j in range(fn)
    subgroupMatrixStore<row_major>(&{{ "partials" if split else "y" }}, to + {{ 16 * i }}u * pitch + {{ 4 * j }}u, c{{ i }}_{{ j }}, pitch);
//% endfor
//% endfor
//% elif wide
    // A lane makes words of eight results, all in the same columns. What is added from memory is on
    // its way before the results are in workgroup memory.
//% set across = wn // 8
//% set down = 32 * teams // across
//% set turns = (16 + down - 1) // down
    let own = member * {{ 16 * ep }}u;
    let worker = team * 32u + lane;
    let j = worker % {{ across }}u;
    let r = worker / {{ across }}u;
//% if exact
    let column = chunk_column(block, wn / 8u + j);
    let mine = {{ "worker < %du" % (across * down) }};
//% else
    let found = chunk_column(block, wn / 8u + j);
    let column = select(found, 0u, found == NONE);
    let mine = found != NONE && worker < {{ across * down }}u;
//% endif
//% if bias
    let offset = Pair(bias[2u * column], bias[2u * column + 1u]);
//% endif
//% for i in range(fm)
    workgroupBarrier();
//% for j in range(fn)
    subgroupMatrixStore<row_major>(&tile, subgroup * {{ 16 * ep }}u + {{ 4 * j }}u, c{{ i }}_{{ j }}, EP);
//% endfor
//% for q in range(turns)
//% set id = i ~ "_" ~ q
    let m{{ id }} = m0 + wm + r + {{ 16 * i + q * down }}u;
    let inside{{ id }} = mine{{ " && r < %du" % (16 - q * down) if (q + 1) * down > 16 }}{{ " && m%s < params.m" % id if not whole }};
    let at{{ id }} = place(m{{ id }}, column, params.n / 8u);
//% if residual
    var residual{{ id }} = f16x8();
    if (inside{{ id }}) { residual{{ id }} = residual[at{{ id }}]; }
//% endif
//% if per_image
    var image{{ id }} = Pair();
    if (inside{{ id }}) { image{{ id }} = image_pair(image_of(m{{ id }}), column); }
//% endif
//% endfor
    workgroupBarrier();
//% for q in range(turns)
//% set id = i ~ "_" ~ q
    if (inside{{ id }}) {
        var value = staged(own + (r + {{ q * down }}u) * EP + 2u * j);
//% if bias
        value = added(value, offset);
//% endif
//% if per_image
        value = added(value, image{{ id }});
//% endif
//% if activation != "none"
        value = Pair(activate(value.low), activate(value.high));
//% endif
//% if residual
        value = added(value, widened(residual{{ id }}));
//% endif
//% if out == "f16"
        y[at{{ id }}] = narrowed(value);
//% else
        y[2u * at{{ id }}] = value.low;
        y[2u * at{{ id }} + 1u] = value.high;
//% endif
    }
//% endfor
//% endfor
//% else
    // A value and its gate lie half a subgroup's columns apart.
    let own = member * {{ 16 * ep }}u;
    let n4 = params.n / 4u;
//% for i in range(fm)
    workgroupBarrier();
//% for j in range(fn)
    subgroupMatrixStore<row_major>(&tile, subgroup * {{ 16 * ep }}u + {{ 4 * j }}u, c{{ i }}_{{ j }}, EP);
//% endfor
    workgroupBarrier();
    for (var e = team * 32u + lane; e < {{ 2 * wn }}u; e += {{ 32 * teams }}u) {
        let r = e / {{ wn // 8 }}u;
        let j = e % {{ wn // 8 }}u;
        let m = m0 + wm + {{ 16 * i }}u + r;
        let n8 = chunk_column(block, wn / 8u + j / 2u);
        if (m < params.m && n8 != NONE) {
            let n = n8 * 2u + j % 2u;
            let value = sum_of_teams(own + r * EP + j);
            let gate = sum_of_teams(own + r * EP + j + {{ wn // 8 }}u);
            let opened = activate(biased(gate, m, n + n4, 2u * n4));
            store(biased(value, m, n, 2u * n4) * opened, m, n, n4);
        }
    }
//% endfor
//% endif
}
