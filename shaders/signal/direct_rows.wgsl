// Convolution of rows with a short row as its definition says: y[o] = sum_k h[k] x[o + first - k], where
// what lies outside of x is zero. An invocation makes {{ words }} words of four results and hands on from four taps
// to the next what their windows share, so that four taps cost one load a word.
// Memory: x and y are (outer, words of a row), h is a row. Layout: word i of a window begins at an
// index that a multiple of four divides, {{ rest }} before the first that four taps meet.
// Limits: 2^31 elements a row; as many workgroups as a row of 65535, then the next row. The sum of one
// result runs from the first element of h to the last.

alias f32x4 = vec4<f32>;

struct Params { count: u32, extent: u32, x_extent: u32, taps: u32, first: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32x4>;
@group(0) @binding(1) var<storage, read> h: array<f32x4>;
@group(0) @binding(2) var<storage, read_write> y: array<f32x4>;
@group(0) @binding(3) var<uniform> params: Params;

const GROUP = 256u;

// One result of the row whose first word is given, at its ends, too.
fn single(row: u32, o: u32) -> f32 {
    let at = o + params.first;
    let low = max(at, params.x_extent - 1u) - (params.x_extent - 1u);
    let high = min(at + 1u, params.taps);
    var sum = 0.0;
    for (var k = low; k < high; k++) {
        let i = at - k;
        sum += x[row + i / 4u][i % 4u] * h[k / 4u][k % 4u];
    }
    return sum;
}

//% set ring = 3 if rest > 1 else 2
//% set unrolled = 3 if rest > 1 else 4

// Word i of a lane's window at step u; each step loads one in the place of the last.
//% macro word(c, u, i)
w{{ c }}_{{ (ring * unrolled - u + i) % ring }}
//%- endmacro

// Four taps, or those of them that there are.
//% macro step(u, all)
//% for i in range(4)
//% set at = 3 - i + rest
//% if all
        {
//% else
        if (k + {{ 4 * u + i }}u < params.taps) {
//% endif
//% for c in range(words)
            sum{{ c }} += weights.{{ "xyzw"[i] }} * vec4<f32>(
//%- for j in range(at, at + 4)
//% if not loop.last
{{ word(c, u, j // 4) }}.{{ "xyzw"[j % 4] }},
//% else
{{ word(c, u, j // 4) }}.{{ "xyzw"[j % 4] }}
//% endif
//%- endfor
);
//% endfor
        }
//% endfor
//% endmacro

@compute @workgroup_size(GROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let start = (workgroup.x + workgroup.y * 65535u) * (GROUP * {{ words }}u) + lane;
    if (start >= params.count) { return; }
    let row_words = (params.extent + 3u) / 4u;
    let x_words = (params.x_extent + 3u) / 4u;
    // What the first four taps reach of the first word of y, and what the last ones do.
    let reach = i32(params.first) - {{ 3 + rest }};
    let last_taps = i32(params.taps - 1u) / 4;
    var whole = start + {{ words - 1 }}u * GROUP < params.count;
//% for c in range(words)
    let index{{ c }} = min(start + {{ c }}u * GROUP, params.count - 1u);
    let outer{{ c }} = index{{ c }} / row_words;
    let o{{ c }} = (index{{ c }} - outer{{ c }} * row_words) * 4u;
    let base{{ c }} = i32(o{{ c }}) + reach;
//% if rest > 1
    whole = whole && base{{ c }} >= 4 * last_taps && base{{ c }} + 12 <= i32(params.x_extent);
//% else
    whole = whole && base{{ c }} >= 4 * last_taps && base{{ c }} + 8 <= i32(params.x_extent);
//% endif
//% endfor
    if (!whole) {
//% for c in range(words)
        if (start + {{ c }}u * GROUP < params.count) {
            let row = outer{{ c }} * x_words;
            y[index{{ c }}] = vec4<f32>(
                single(row, o{{ c }}), single(row, o{{ c }} + 1u), single(row, o{{ c }} + 2u), single(row, o{{ c }} + 3u)
            );
        }
//% endfor
        return;
    }
//% for c in range(words)
    let word{{ c }} = outer{{ c }} * x_words + u32(base{{ c }}) / 4u;
    var sum{{ c }} = vec4<f32>();
//% for i in range(ring)
    var {{ word(c, 0, i) }} = x[word{{ c }} + {{ i }}u];
//% endfor
//% endfor
    var k = 0u;
    for (; k + {{ 4 * unrolled }}u <= params.taps; k += {{ 4 * unrolled }}u) {
//% for u in range(unrolled)
        {
            let weights = h[k / 4u + {{ u }}u];
{{ step(u, true) }}
        }
//% for c in range(words)
        {{ word(c, u + 1, 0) }} = x[max(word{{ c }}, k / 4u + {{ u + 1 }}u) - (k / 4u + {{ u + 1 }}u)];
//% endfor
//% endfor
    }
//% for u in range(unrolled)
    if (k + {{ 4 * u }}u < params.taps) {
        let weights = h[k / 4u + {{ u }}u];
{{ step(u, false) }}
//% for c in range(words)
        {{ word(c, u + 1, 0) }} = x[max(word{{ c }}, k / 4u + {{ u + 1 }}u) - (k / 4u + {{ u + 1 }}u)];
//% endfor
    }
//% endfor
//% for c in range(words)
    y[index{{ c }}] = sum{{ c }};
//% endfor
}
