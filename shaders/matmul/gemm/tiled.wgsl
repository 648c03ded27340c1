// For any GPU: a block of BM x BN results a workgroup, TM x TN an invocation, multiplied in f32 whatever
// the storage type.
//
// Slices of BK of both operands are staged in workgroup memory as words of four f32, the left one with K
// outermost: so an invocation reads TM rows and TN columns of a step by a few wide loads. 32 invocations
// stand 4 by 8 over TM * 4 rows and TN * 8 columns, in words: neighbours hold neighbouring words, which
// no two of them find in one bank. While a slice is multiplied, the next one is on its way in registers;
// with two stages of workgroup memory it need not wait there for the last one's readers.
//
// The vector form loads four channels, and four columns, at a time; the other one takes any widths.
// Rows and columns past the end read what is there for others; they are not stored. Results of a split
// product (over K, by workgroups of the third dimension) go to `partials` as they are.
//
// Workgroup memory: 4 * stages * BK * (BM + BN) bytes.
// Limits: windows of up to 30 taps; BM is a multiple of 4 TM, BN of 8 TN, TM of 4, TN of 4 (of 8 for GEGLU),
// BK of 8, BM * BK and BN * BK of four times the invocations; a split product wants the vector form.
//% set threads = bm * bn // (wm * wn)
//% set early = residual and vector and not split
//% set la = bm // 4
//% set lb = bn // 4
//% set a_loads = bm * bk // (4 * threads)
//% set b_loads = bn * bk // (4 * threads)
//% set a_rows = 2 * bm // threads if 2 * bm % threads == 0 else a_loads
//% set unit = 1 if vector else 4
//% set word = "W"
//% set walk = True
//% from "matmul/quantized/reading.wgsl" import weight with context
//% include "matmul/gemm/operands.wgsl"

const BM = {{ bm }}u;
const BN = {{ bn }}u;
const BK4 = {{ bk // 4 }}u;
const LA = {{ la }}u;
const LB = {{ lb }}u;
const ROW_GROUP = 8u;
// Result columns, and columns of w: words of four, or elements.
//% if vector
const WIDTH = params.n / 4u;
//% else
const WIDTH = params.n / 1u;
//% endif
//% if activation == "geglu"
const PITCH = WIDTH * 2u;
//% else
const PITCH = WIDTH * 1u;
//% endif

var<workgroup> a_tile: array<vec4<f32>, {{ stages * bk * la }}>;
var<workgroup> b_tile: array<vec4<f32>, {{ stages * bk * lb }}>;

// Column of w where a block's local word begins, or NONE.
fn word_column(block: u32, local: u32) -> u32 {
//% if activation == "geglu"
    let half = {{ wn }}u;
    let j = local % (2u * half);
    let n = (block * (BN / 8u) + local / (2u * half) * half + j % half) * {{ unit }}u;
    return select(select(n, n + WIDTH, j >= half), NONE, n >= WIDTH);
//% else
    let n = (block * (BN / 4u) + local) * {{ unit }}u;
    return select(n, NONE, n >= WIDTH);
//% endif
}
//% if not vector

//% for source in ["x", "x2"] if two or source == "x"
// Elements of {{ source }} from `at` on, of which `left` belong to the row.
fn four_of_{{ source }}(at: u32, left: u32) -> vec4<S> {
    let last = at + min(left, 4u) - 1u;
    let v = vec4<S>(
        {{ source }}[at],
        {{ source }}[min(at + 1u, last)],
        {{ source }}[min(at + 2u, last)],
        {{ source }}[last],
    );
    return select(vec4<S>(), v, vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(left));
}
//% endfor

fn four_of_w(at: u32) -> vec4<S> {
//% if q_format is defined
    let last = q_depth() * q_columns() - 1u;
//% else
    let last = arrayLength(&w) - 1u;
//% endif
    return vec4<S>(
        {{ weight("min(at, last)") | trim }},
        {{ weight("min(at + 1u, last)") | trim }},
        {{ weight("min(at + 2u, last)") | trim }},
        {{ weight("min(at + 3u, last)") | trim }},
    );
}
//% endif
//% if not split

fn result(v: F, gate: F, m: u32, n: u32) -> F {
//% if activation == "geglu"
    return biased(v, m, n, PITCH) * activate(biased(gate, m, n + WIDTH, PITCH));
//% else
    return activate(biased(v, m, n, PITCH));
//% endif
}

//% if early
// Writes four results of row m, from column n on; `more` is their residual.
fn finish(v: vec4<f32>, gate: vec4<f32>, more: W, m: u32, n: u32) {
//% else
// Writes four results of row m, from column n on.
fn finish(v: vec4<f32>, gate: vec4<f32>, m: u32, n: u32) {
//% endif
//% if early
    y[place(m, n, WIDTH)] = Y(result(v, gate, m, n) + F(more));
//% elif vector
    store(result(v, gate, m, n), m, n, WIDTH);
//% else
    for (var e = 0u; e < min(4u, WIDTH - n); e++) {
        store(result(v[e], gate[e], m, n + e), m, n + e, WIDTH);
    }
//% endif
}
//% endif

@compute @workgroup_size({{ threads }})
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
//% include "matmul/gemm/block.wgsl"

    // Words of this invocation's first rows and columns; the next ones are 4 and 8 words on.
    let part = t / 32u;
    let am = part % {{ bm // (4 * wm) }}u * {{ wm }}u + (t & 1u) + ((t >> 3u) & 2u);
    let bn = part / {{ bm // (4 * wm) }}u * {{ 2 * wn }}u + ((t >> 1u) & 7u);

    // What it loads: neighbours take two words of a row and go on to the next row, since words of one row
    // are stored to one bank.
//% for i in range(a_rows)
    let ra{{ i }} = (t + {{ i * threads }}u) / 2u % BM;
    let row{{ i }} = row_of(min(m0 + ra{{ i }}, params.m - 1u));
    let pixel{{ i }} = first_pixel(row{{ i }});
//% if holes
    let seen{{ i }} = seen_taps(row{{ i }});
//% endif
//% endfor
//% for i in range(a_loads)
    let ka{{ i }} = t % 2u + (t + {{ i * threads }}u) / (2u * BM) * 2u;
    var va{{ i }} = vec4<S>();
//% endfor
//% for i in range(b_loads)
    let kb{{ i }} = (t + {{ i * threads }}u) / LB;
    let cb{{ i }} = (t + {{ i * threads }}u) % LB;
    let pb{{ i }} = kb{{ i }} * PITCH + min(word_column(block, cb{{ i }}), PITCH - 1u);
    var vb{{ i }} = vec4<S>();
//% endfor
//% for i in range(wm)
//% for j in range(wn // 4)
    var c{{ i }}_{{ j }} = vec4<f32>();
//% endfor
//% endfor

    // Slices: of each tap, first those of x, then those of x2.
    let words1 = (channels(0u) + 3u) / 4u;
    let slices1 = (words1 + BK4 - 1u) / BK4;
//% if two
    let words2 = (channels(1u) + 3u) / 4u;
    let slices = slices1 + (words2 + BK4 - 1u) / BK4;
//% else
    let slices = slices1;
//% endif
    let all_steps = taps() * slices;
//% if split
    let steps = (all_steps + params.splits - 1u) / params.splits;
    let begin = min(group.z * steps, all_steps);
    let end = min(begin + steps, all_steps);
//% else
    let begin = 0u;
    let end = all_steps;
//% endif
    var tap = begin / slices;
    var slice = begin % slices;

//% macro load_a(source, s)
//% for i in range(a_loads)
//% set row = i % a_rows
//% set inside = []
//% if holes
//% set inside = inside + ["((seen" ~ row ~ " >> tap) & 1u) != 0u"]
//% endif
//% if ragged
//% set inside = inside + ["c + ka" ~ i ~ " < words" ~ (s + 1)]
//% endif
//% set pixel = "tap_pixel(row%d, pixel%d, tap, seen%d)" % (row, row, row) if holes else "pixel%d" % row
//% if inside
        va{{ i }} = vec4<S>();
        if ({{ inside | join(" && ") }}) {
//% else
        {
//% endif
//% if vector
            va{{ i }} = {{ source }}[{{ pixel }} * words{{ s + 1 }} + c + ka{{ i }}];
//% else
            let at = 4u * (c + ka{{ i }});
            va{{ i }} = four_of_{{ source }}({{ pixel }} * channels({{ s }}u) + at, channels({{ s }}u) - at);
//% endif
        }
//% endfor
//% endmacro
//% macro load()
    {
//% if two
        let k_tap = tap * (channels(0u) + channels(1u));
        var k = k_tap + slice * {{ bk }}u;
        var left = channels(0u) - min(slice * {{ bk }}u, channels(0u));
        if (slice < slices1) {
        let c = slice * BK4;
{{ load_a("x", 0) }}
        } else {
        let c = (slice - slices1) * BK4;
        k = k_tap + channels(0u) + c * 4u;
        left = channels(1u) - c * 4u;
{{ load_a("x2", 1) }}
        }
//% else
        let c = slice * BK4;
//% if batched
        let k = batch * depth() + tap * channels(0u) + c * 4u;
//% else
        let k = tap * channels(0u) + c * 4u;
//% endif
        let left = channels(0u) - c * 4u;
{{ load_a("x", 0) }}
//% endif
//% for i in range(b_loads)
//% set of_w = weight("k * PITCH + pb%d" % i) | trim if vector else "four_of_w(k * PITCH + pb%d)" % i
//% if ragged
        vb{{ i }} = vec4<S>();
        if (kb{{ i }} < left) { vb{{ i }} = {{ of_w }}; }
//% else
        vb{{ i }} = {{ of_w }};
//% endif
//% endfor
    }
//% endmacro
    if (begin < end) {
{{ load() }}
    }
    for (var step = begin; step < end; step++) {
//% if stages == 1
        workgroupBarrier();
        let now_a = 0u;
        let now_b = 0u;
//% else
        let now_a = step % {{ stages }}u * {{ bk * la }}u;
        let now_b = step % {{ stages }}u * {{ bk * lb }}u;
//% endif
//% for i in range(a_loads)
//% set row = i % a_rows
        {
            let v = vec4<f32>(va{{ i }});
            let to = now_a + ka{{ i }} * (4u * LA) + ra{{ row }} / 4u;
//% for e in range(4)
            a_tile[to + {{ e }}u * LA][ra{{ row }} % 4u] = v.{{ "xyzw"[e] }};
//% endfor
        }
//% endfor
//% for i in range(b_loads)
        b_tile[now_b + kb{{ i }} * LB + cb{{ i }}] = vec4<f32>(vb{{ i }});
//% endfor
        // Past the last slice that one is loaded again: cheaper than a branch around the loads.
        if (step + 1u < end) {
            slice++;
            if (slice == slices) {
                slice = 0u;
                tap++;
            }
        }
        // Loads stand before a barrier, past which compilers do not put them off.
{{ load() }}
        workgroupBarrier();
        let from_a = now_a + am;
        let from_b = now_b + bn;
//% for k in range(bk)
        {
//% for i in range(wm // 4)
            let a{{ i }} = a_tile[from_a + {{ k * la + 4 * i }}u];
//% endfor
//% for j in range(wn // 4)
            let b{{ j }} = b_tile[from_b + {{ k * lb + 8 * j }}u];
//% endfor
//% for i in range(wm)
//% for j in range(wn // 4)
            c{{ i }}_{{ j }} = fma(vec4<f32>(a{{ i // 4 }}.{{ "xyzw"[i % 4] }}), b{{ j }}, c{{ i }}_{{ j }});
//% endfor
//% endfor
        }
//% endfor
    }

//% set half = wn // 8 if activation == "geglu" else 0
//% if not split
//% for j in range(half or wn // 4)
    let n{{ j }} = word_column(block, bn + {{ 8 * j }}u);
//% endfor
//% endif
//% for i in range(wm)
    let line{{ i }} = m0 + 4u * (am + {{ i // 4 * 4 }}u) + {{ i % 4 }}u;
//% endfor
//% if early
    // Results may lie where residuals do, as far as compilers know: no load passes a store.
//% for i in range(wm)
//% for j in range(half or wn // 4)
    var more{{ i }}_{{ j }} = W();
    if (line{{ i }} < params.m && n{{ j }} != NONE) { more{{ i }}_{{ j }} = residual[place(line{{ i }}, n{{ j }}, WIDTH)]; }
//% endfor
//% endfor
//% endif
//% for i in range(wm)
    {
//% if split
        // Rows and columns of partials are padded to whole tiles.
        let to = (group.z * tiles_m * BM + line{{ i }}) * (tiles_n * LB) + block * LB + bn;
//% for j in range(wn // 4)
        partials[to + {{ 8 * j }}u] = c{{ i }}_{{ j }};
//% endfor
//% else
        if (line{{ i }} < params.m) {
//% for j in range(half or wn // 4)
//% if early
            if (n{{ j }} != NONE) { finish(c{{ i }}_{{ j }}, c{{ i }}_{{ j + half }}, more{{ i }}_{{ j }}, line{{ i }}, n{{ j }}); }
//% else
            if (n{{ j }} != NONE) { finish(c{{ i }}_{{ j }}, c{{ i }}_{{ j + half }}, line{{ i }}, n{{ j }}); }
//% endif
//% endfor
        }
//% endif
    }
//% endfor
}
