// Words of 16 bytes of a row that is scanned on a GPU, {{ 4 // words }} quads of four elements each. Included by the
// kernels that scan rows, which have V, the number that is handed on.
//
// Memory: x and y as in arrays/words.wgsl; where rows do not begin with words, element by element.

struct Word {
//% for c in range(4 // words)
    q{{ c }}: A,
//% endfor
}

// The word of a row that begins with element e, neutral past the end.
fn word_at(row: u32, e: u32) -> Word {
    let begin = row * params.n;
//% if aligned
    let w = x[(begin + min(e, params.n - 1u)) / {{ per_word }}u];
//% endif
    var word: Word;
//% for c in range(4 // words)
    let p{{ c }} = vec4<u32>(e) + vec4<u32>({{ 4 * c }}u, {{ 4 * c + 1 }}u, {{ 4 * c + 2 }}u, {{ 4 * c + 3 }}u);
//% if aligned
    let v{{ c }} = {{ typed.quad(kind, "w", c) }};
//% else
    let i{{ c }} = vec4<u32>(begin) + min(p{{ c }}, vec4<u32>(params.n - 1u));
    let v{{ c }} = {{ typed.joined(kind, typed.at(kind, "x", "i%d.x" % c), typed.at(kind, "x", "i%d.y" % c), typed.at(kind, "x", "i%d.z" % c), typed.at(kind, "x", "i%d.w" % c)) }};
//% endif
    word.q{{ c }} = select(A({{ neutral }}), mapped(v{{ c }}), p{{ c }} < vec4<u32>(params.n));
//% endfor
    return word;
}

fn total_of_quad(a: A) -> V { return sum_of_two(sum_of_two(sum_of_two(a.x, a.y), a.z), a.w); }

fn total_of_word(word: Word) -> V {
    var sum = total_of_quad(word.q0);
//% for c in range(1, 4 // words)
    sum = sum_of_two(sum, total_of_quad(word.q{{ c }}));
//% endfor
    return sum;
}

// The scan of a word; `before` is what the elements before it come to.
fn scan_of_word(before: V, word: Word) -> Word {
    var start = before;
    var scan: Word;
//% for c in range(4 // words)
//% set q = "word.q%d" % c
    let two{{ c }} = sum_of_two({{ q }}.x, {{ q }}.y);
    let three{{ c }} = sum_of_two(two{{ c }}, {{ q }}.z);
    let four{{ c }} = sum_of_two(three{{ c }}, {{ q }}.w);
//% if exclusive
    scan.q{{ c }} = sum_of(A(start), A(V({{ neutral }}), {{ q }}.x, two{{ c }}, three{{ c }}));
//% else
    scan.q{{ c }} = sum_of(A(start), A({{ q }}.x, two{{ c }}, three{{ c }}, four{{ c }}));
//% endif
    start = sum_of_two(start, four{{ c }});
//% endfor
    return scan;
}
//% if aligned

fn put(begin: u32, e: u32, {% for c in range(4 // words) %}v{{ c }}: {{ typed.value[kind] }}{{ ", " if not loop.last }}{% endfor %}) {
//% if target == "f16"
    y[(begin + e) / 8u] = f16x8(pack2x16float(v0.xy), pack2x16float(v0.zw), pack2x16float(v1.xy), pack2x16float(v1.zw));
//% else
//% for c in range(4 // words)
//% if c
    // A word of bytes makes {{ 4 // words }} words of y, which may end before.
    if (e + {{ 4 * c }}u >= params.n) { return; }
//% endif
    y[(begin + e) / 4u + {{ c }}u] = vec4<{{ target }}>(v{{ c }});
//% endfor
//% endif
}
//% endif

// Writes the word of a row that begins with element e, every number behind `before`.
fn put_word(row: u32, e: u32, before: V, scan: Word) {
    if (e >= params.n) { return; }
    let begin = row * params.n;
//% for c in range(4 // words)
    let shown{{ c }} = finished(sum_of(A(before), scan.q{{ c }}));
//% if not aligned
    for (var k = 0u; k < 4u; k++) {
        let p = e + {{ 4 * c }}u + k;
        if (p < params.n) { y[begin + p] = {{ target }}(shown{{ c }}[k]); }
    }
//% endif
//% endfor
//% if aligned
    // The last word may reach past the last element, into the rest of its grain of memory.
    put(begin, e, {% for c in range(4 // words) %}shown{{ c }}{{ ", " if not loop.last }}{% endfor %});
//% endif
}
