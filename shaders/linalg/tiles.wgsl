// Products of views for GPUs: a block of BM x BN results a workgroup, TM x TN an invocation, in f32.
//
// Slices of BK of both operands lie in workgroup memory with K outermost, as words of four along M or N; a
// word is read along whichever axis is the quick one in memory. While a slice is multiplied, the next one
// is on its way in registers. Complex numbers are kept as two planes. Blocks outside of the wanted triangle
// end at once.
//
// Memory: as in linalg/product.wgsl.
// Workgroup memory: 4 * planes * stages * BK * (BM + BN + 8) bytes.
// Limits: BM * BK and BN * BK are multiples of four times the invocations.
//% set threads = bm * bn // (tm * tn)
//% set la = bm // 4 + 1
//% set lb = bn // 4 + 1
//% set down = bm // tm
//% set across = bn // tn
//% set complex = scalar == "c64"
//% include "linalg/product.wgsl"
//% set planes = ["re", "im"] if complex else ["re"]

struct Word {
//% for p in planes
    {{ p }}: vec4<f32>,
//% endfor
}

//% for p in planes
var<workgroup> a_{{ p }}: array<vec4<f32>, {{ stages * bk * la }}>;
var<workgroup> b_{{ p }}: array<vec4<f32>, {{ stages * bk * lb }}>;
//% endfor

// Words of four along the quick axis, zero past the end: of a at (i, k), of b at (k, j).
//% set loads_a = ("a", "i", "m", "k", "k") if a_quick == "k" else ("a", "k", "k", "i", "m")
//% set loads_b = ("b", "j", "n", "k", "k") if b_quick == "k" else ("b", "k", "k", "j", "n")
//% for name, fixed, bound, moving, most in (loads_a, loads_b)
//% set row, column = ("i", "k") if name == "a" else ("k", "j")
//% set step = "params." ~ name ~ ("_row" if moving == row else "_column")
fn load_{{ name }}(first: u32, {{ row }}: u32, {{ column }}: u32) -> Word {
    var word = Word();
    if ({{ fixed }} >= params.{{ bound }} || {{ moving }} >= params.{{ most }}) { return word; }
    let at = first + {{ row }} * params.{{ name }}_row + {{ column }} * params.{{ name }}_column;
//% if vector
    word.re = vec4<f32>(word_of_{{ name }}(at / 4u));
//% else
//% for e in range(4)
//% if e
    if ({{ moving }} + {{ e }}u < params.{{ most }}) {
//% else
    {
//% endif
        let v = element_of_{{ name }}(at + {{ e }}u * {{ step }});
//% for p in planes
        word.{{ p }}.{{ "xyzw"[e] }} = v{{ "." ~ "xy"[loop.index0] if complex }};
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
        store({{ "vec2<f32>(re[e], im[e])" if complex else "re[e]" }}, first, i, j + e);
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
    let i0 = block % blocks / blocks_n * {{ bm }}u;
    let j0 = block % blocks % blocks_n * {{ bn }}u;
    if ((params.part == LOWER && j0 > i0 + {{ bm - 1 }}u) || (params.part == UPPER && j0 + {{ bn - 1 }}u < i0)) {
        return;
    }
    let a_at = a_first(index);
    let b_at = b_first(index);
    let ty = t / {{ across }}u;
    let tx = t % {{ across }}u;
//% for name, quick, size, line in (("a", a_quick, bm, la), ("b", b_quick, bn, lb))
//% for l in range(size * bk // (4 * threads))
    let {{ name }}{{ l }} = t + {{ l * threads }}u;
//% if quick == "k"
    let {{ name }}_k{{ l }} = {{ name }}{{ l }} % {{ bk // 4 }}u * 4u;
    let {{ name }}_i{{ l }} = {{ name }}{{ l }} / {{ bk // 4 }}u;
//% else
    let {{ name }}_k{{ l }} = {{ name }}{{ l }} / {{ size // 4 }}u;
    let {{ name }}_i{{ l }} = {{ name }}{{ l }} % {{ size // 4 }}u * 4u;
//% endif
    var {{ name }}_next{{ l }} = {{ "load_a(a_at, i0 + a_i%d, a_k%d)" % (l, l) if name == "a" else "load_b(b_at, b_k%d, j0 + b_i%d)" % (l, l) }};
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
        // Loads stand before the barrier, past which compilers do not put them off; those past the end
        // give zeros.
        let k = (step + 1u) * {{ bk }}u;
//% for l in range(bm * bk // (4 * threads))
        a_next{{ l }} = load_a(a_at, i0 + a_i{{ l }}, k + a_k{{ l }});
//% endfor
//% for l in range(bn * bk // (4 * threads))
        b_next{{ l }} = load_b(b_at, k + b_k{{ l }}, j0 + b_i{{ l }});
//% endfor
        workgroupBarrier();
        for (var s = 0u; s < {{ bk }}u; s += {{ unroll }}u) {
//% for u in range(unroll)
        {
//% for p in planes
//% for i in range(tm // 4)
            let x{{ i }}_{{ p }} = a_{{ p }}[now_a + (s + {{ u }}u) * {{ la }}u + ty + {{ i * down }}u];
//% endfor
//% for j in range(tn // 4)
            let y{{ j }}_{{ p }} = b_{{ p }}[now_b + (s + {{ u }}u) * {{ lb }}u + tx + {{ j * across }}u];
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
    store4({% for p in planes %}{{ p }}{{ i }}_{{ j }}, {% endfor %}c0, i0 + (ty + {{ i // 4 * down }}u) * 4u + {{ i % 4 }}u, j0 + (tx + {{ j * across }}u) * 4u);
//% endfor
//% endfor
}
