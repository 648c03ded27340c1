// Products of views for GPUs: a block of BM x BN results a workgroup, TM x TN an invocation, in f32.
//
// Slices of BK of both operands lie in workgroup memory with K outermost, as words of four along M or N; a
// word is read along whichever axis is the quick one in memory. While a slice is multiplied, the next one
// is on its way in registers. 32 invocations stand 4 by 8 over words, as in matmul/gemm/tiled.wgsl, and blocks walk
// in groups of rows, so that what they read stays in the cache. Complex numbers are kept as two planes.
// Blocks outside of the wanted triangle end at once.
//
//% if ragged
// Memory: as in linalg/product.wgsl. K may end within a slice.
//% else
// Memory: as in linalg/product.wgsl. K is a number of whole slices.
//% endif
// Workgroup memory: 4 * planes * stages * BK * (BM + BN) bytes.
// Limits: BM is a multiple of 4 TM, BN of 8 TN, BK of 8, BM * BK and BN * BK of four times the invocations.
//% set threads = bm * bn // (tm * tn)
//% set la = bm // 4
//% set lb = bn // 4
//% set complex = scalar == "c64"
//% include "linalg/product.wgsl"
//% set planes = ["re", "im"] if complex else ["re"]

const ROW_GROUP = 8u;

struct Word {
//% for p in planes
    {{ p }}: vec4<f32>,
//% endfor
}

//% for p in planes
var<workgroup> a_{{ p }}: array<vec4<f32>, {{ stages * bk * la }}>;
var<workgroup> b_{{ p }}: array<vec4<f32>, {{ stages * bk * lb }}>;
//% endfor

//% for name, quick in (("a", a_quick), ("b", b_quick))
//% set bound = "k" if quick == "k" else ("m" if name == "a" else "n")
// Four elements along the quick axis, `{{ bound }}`, of which the first is `quick`; `k` is that of the word.
fn load_{{ name }}(at: u32, quick: u32, k: u32) -> Word {
    var word = Word();
//% if ragged
    if (k >= params.k) { return word; }
//% endif
//% if vector
    word.re = vec4<f32>(word_of_{{ name }}(at / 4u));
//% else
//% set step = "params.%s_%s" % (name, "column" if (name == "a") == (quick == "k") else "row")
//% for e in range(4)
    if (quick + {{ e }}u < params.{{ bound }}) {
        let v = element_of_{{ name }}(at + {{ e }}u * {{ step }});
//% for p in planes
//% if complex
        word.{{ p }}.{{ "xyzw"[e] }} = v{{ "." ~ "xy"[loop.index0] }};
//% else
        word.{{ p }}.{{ "xyzw"[e] }} = v;
//% endif
//% endfor
    }
//% endfor
//% endif
    return word;
}

//% endfor
//% if vector
fn store4(sum: vec4<f32>, first: u32, i: u32, j: u32) {
    if (i >= params.m || j >= params.n) { return; }
    let at = (first + i * params.c_row + j) / 4u;
    var v = params.alpha * sum;
    if (params.beta != 0.0) { v = fma(vec4<f32>(params.beta), vec4<f32>(c[at]), v); }
    if (is_outside(i, j) || is_outside(i, j + 3u)) {
        for (var e = 0u; e < 4u; e++) {
            if (!is_outside(i, j + e)) { c[at][e] = S(v[e]); }
        }
    } else {
        c[at] = W(v);
    }
}
//% else
fn store4({% for p in planes %}{{ p }}: vec4<f32>, {% endfor %}first: u32, i: u32, j: u32) {
    for (var e = 0u; e < 4u; e++) {
//% if complex
        store(vec2<f32>(re[e], im[e]), first, i, j + e);
//% else
        store(re[e], first, i, j + e);
//% endif
    }
}
//% endif

@compute @workgroup_size({{ threads }})
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let block = group.x + group.y * 65535u;
    let blocks_n = (params.n + {{ bn - 1 }}u) / {{ bn }}u;
    let blocks = blocks_n * ((params.m + {{ bm - 1 }}u) / {{ bm }}u);
    let index = block / blocks;
    if (index >= params.batch) { return; }
    let blocks_m = blocks / blocks_n;
    let place = block % blocks;
    let first_row = place / (ROW_GROUP * blocks_n) * ROW_GROUP;
    let high = min(ROW_GROUP, blocks_m - first_row);
    let inner = place % (ROW_GROUP * blocks_n);
    let i0 = (first_row + inner % high) * {{ bm }}u;
    let j0 = inner / high * {{ bn }}u;
    if ((params.part == LOWER && j0 > i0 + {{ bm - 1 }}u) || (params.part == UPPER && j0 + {{ bn - 1 }}u < i0)) {
        return;
    }
    // Words of this invocation's first rows and columns; the next ones are 4 and 8 words on.
    let thirty_two = t / 32u;
    let ty = thirty_two % {{ bm // (4 * tm) }}u * {{ tm }}u + (t & 1u) + ((t >> 3u) & 2u);
    let tx = thirty_two / {{ bm // (4 * tm) }}u * {{ 2 * tn }}u + ((t >> 1u) & 7u);
    // What it loads. Where K is quick, neighbours take two words of a row and go on to the next row, since
    // words of one row are stored to one bank. Past the last row, that of others is read, and not stored.
//% for name, quick, size, bound, along, across in (("a", a_quick, bm, "m", "row", "column"), ("b", b_quick, bn, "n", "column", "row"))
    let {{ name }}_at = {{ name }}_first(index);
//% for l in range(size * bk // (4 * threads))
//% if quick == "k"
    let {{ name }}_k{{ l }} = (t % 2u + (t + {{ l * threads }}u) / {{ 2 * size }}u * 2u) * 4u;
    let {{ name }}_i{{ l }} = (t + {{ l * threads }}u) / 2u % {{ size }}u;
//% else
    let {{ name }}_k{{ l }} = (t + {{ l * threads }}u) / {{ size // 4 }}u;
    let {{ name }}_i{{ l }} = (t + {{ l * threads }}u) % {{ size // 4 }}u * 4u;
//% endif
//% if name == "a"
    let {{ name }}_line{{ l }} = i0 + {{ name }}_i{{ l }};
//% else
    let {{ name }}_line{{ l }} = j0 + {{ name }}_i{{ l }};
//% endif
//% if vector and quick != "k"
    let {{ name }}_from{{ l }} = {{ name }}_at + min({{ name }}_line{{ l }}, params.{{ bound }} - 4u) * params.{{ name }}_{{ along }} + {{ name }}_k{{ l }} * params.{{ name }}_{{ across }};
//% else
    let {{ name }}_from{{ l }} = {{ name }}_at + min({{ name }}_line{{ l }}, params.{{ bound }} - 1u) * params.{{ name }}_{{ along }} + {{ name }}_k{{ l }} * params.{{ name }}_{{ across }};
//% endif
//% if quick == "k"
    var {{ name }}_next{{ l }} = load_{{ name }}({{ name }}_from{{ l }}, {{ name ~ "_k%d" % l }}, {{ name }}_k{{ l }});
//% else
    var {{ name }}_next{{ l }} = load_{{ name }}({{ name }}_from{{ l }}, {{ name ~ "_line%d" % l }}, {{ name }}_k{{ l }});
//% endif
//% endfor
//% endfor
//% for i in range(tm)
//% for j in range(tn // 4)
//% for p in planes
    var {{ p }}{{ i }}_{{ j }} = vec4<f32>();
//% endfor
//% endfor
//% endfor
    let steps = (params.k + {{ bk - 1 }}u) / {{ bk }}u;
    for (var step = 0u; step < steps; step++) {
//% if stages == 1
        workgroupBarrier();
        let now_a = 0u;
        let now_b = 0u;
//% else
        let now_a = step % {{ stages }}u * {{ bk * la }}u;
        let now_b = step % {{ stages }}u * {{ bk * lb }}u;
//% endif
//% for name, quick, size, line in (("a", a_quick, bm, la), ("b", b_quick, bn, lb))
//% for l in range(size * bk // (4 * threads))
//% for p in planes
//% if quick == "k"
//% for e in range(4)
        {{ name }}_{{ p }}[now_{{ name }} + ({{ name }}_k{{ l }} + {{ e }}u) * {{ line }}u + {{ name }}_i{{ l }} / 4u][{{ name }}_i{{ l }} % 4u] = {{ name }}_next{{ l }}.{{ p }}.{{ "xyzw"[e] }};
//% endfor
//% else
        {{ name }}_{{ p }}[now_{{ name }} + {{ name }}_k{{ l }} * {{ line }}u + {{ name }}_i{{ l }} / 4u] = {{ name }}_next{{ l }}.{{ p }};
//% endif
//% endfor
//% endfor
//% endfor
//% if ragged
        // Loads stand before the barrier, past which compilers do not put them off. Those past the end give zeros.
        let k = (step + 1u) * {{ bk }}u;
//% else
        // Loads stand before the barrier, past which compilers do not put them off. Past the last slice that one is loaded again.
        let k = min(step + 1u, steps - 1u) * {{ bk }}u;
//% endif
//% for name, quick, size, across in (("a", a_quick, bm, "column"), ("b", b_quick, bn, "row"))
//% for l in range(size * bk // (4 * threads))
//% if quick == "k"
        {{ name }}_next{{ l }} = load_{{ name }}({{ name }}_from{{ l }} + k * params.{{ name }}_{{ across }}, k + {{ name }}_k{{ l }}, k + {{ name }}_k{{ l }});
//% else
        {{ name }}_next{{ l }} = load_{{ name }}({{ name }}_from{{ l }} + k * params.{{ name }}_{{ across }}, {{ name }}_line{{ l }}, k + {{ name }}_k{{ l }});
//% endif
//% endfor
//% endfor
        workgroupBarrier();
        for (var s = 0u; s < {{ bk }}u; s += {{ unroll }}u) {
//% for u in range(unroll)
        {
//% for p in planes
//% for i in range(tm // 4)
            let x{{ i }}_{{ p }} = a_{{ p }}[now_a + (s + {{ u }}u) * {{ la }}u + ty + {{ 4 * i }}u];
//% endfor
//% for j in range(tn // 4)
            let y{{ j }}_{{ p }} = b_{{ p }}[now_b + (s + {{ u }}u) * {{ lb }}u + tx + {{ 8 * j }}u];
//% endfor
//% endfor
//% for i in range(tm)
//% set x = "x%d_%%s.%s" % (i // 4, "xyzw"[i % 4])
//% for j in range(tn // 4)
            re{{ i }}_{{ j }} = fma(vec4<f32>({{ x % "re" }}), y{{ j }}_re, re{{ i }}_{{ j }});
//% if complex
            re{{ i }}_{{ j }} = fma(vec4<f32>(-{{ x % "im" }}), y{{ j }}_im, re{{ i }}_{{ j }});
            im{{ i }}_{{ j }} = fma(vec4<f32>({{ x % "re" }}), y{{ j }}_im, im{{ i }}_{{ j }});
            im{{ i }}_{{ j }} = fma(vec4<f32>({{ x % "im" }}), y{{ j }}_re, im{{ i }}_{{ j }});
//% endif
//% endfor
//% endfor
        }
//% endfor
        }
    }
    let c0 = c_first(index);
//% for i in range(tm)
//% for j in range(tn // 4)
    store4({% for p in planes %}{{ p }}{{ i }}_{{ j }}, {% endfor %}c0, i0 + (ty + {{ i // 4 * 4 }}u) * 4u + {{ i % 4 }}u, j0 + (tx + {{ 8 * j }}u) * 4u);
//% endfor
//% endfor
}
