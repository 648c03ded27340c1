// Canny's candidates: Sobel's gradient, of which a pixel is kept whose length is at least `low` and no less
// than its two neighbours along the gradient, which are interpolated between pixels. The outermost
// pixels are not kept. As scikit-image's `canny` computes it.
//
// An invocation walks down a strip of cells of 4 by 4 pixels, and keeps differences and lengths of the last
// rows in registers.
//% if scaled
// Memory: x is the smoothed image (images, rows, row); where the window was cut off at an edge, it is scaled by the two tables. y is a word a cell
//% else
// Memory: x is the smoothed image (images, rows, row). y is a word a cell
//% endif
// (images, cells down, cells across): bits 0 to 15 are the pixels kept, row by row, bit 16 + k whether
//% if whole
// one of 2 by 2 block k is at least `high`. Rows are whole words of four.
//% else
// one of 2 by 2 block k is at least `high`. Words are single elements.
//% endif
// Limits: a grid of (cells across, strips, images).

// near: rows and columns from an edge that are scaled; strip: cells of an invocation.
struct Params { rows: i32, row: i32, down: u32, across: u32, strip: u32, near: i32, low: f32, high: f32 }

//% if whole
@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
//% else
@group(0) @binding(0) var<storage, read> x: array<f32>;
//% endif
//% if scaled
@group(0) @binding(1) var<storage, read> scale_down: array<f32>;
@group(0) @binding(2) var<storage, read> scale_across: array<f32>;
//% endif
@group(0) @binding(3) var<storage, read_write> y: array<u32>;
@group(0) @binding(4) var<uniform> params: Params;

// Whether m is no less than its neighbours; above, beside and below are the lengths round it.
fn tops(i: f32, j: f32, m: f32, above: vec3<f32>, beside: vec2<f32>, below: vec3<f32>) -> bool {
    let same = i32(bitcast<u32>(i) ^ bitcast<u32>(j)) >= 0;
    let steep = abs(i) > abs(j);
    let less = min(abs(i), abs(j));
    let more = max(abs(i), abs(j));
    // One pixel on along the gradient's larger part, and one on along both; then back.
    let on = select(above.yz, below.yz, same);
    let back = select(below.xy, above.xy, same);
    let near_on = select(beside.y, on.x, steep);
    let near_back = select(beside.x, back.y, steep);
    // All is multiplied by the larger part.
    let rest = more - less;
    return max(on.y * less + near_on * rest, back.x * less + near_back * rest) <= m * more;
}

@compute @workgroup_size(32, {{ lanes }})
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) lane: vec3<u32>,
) {
    let unit = group.x * 32u + lane.x;
    let first = (group.y * {{ lanes }}u + lane.y) * params.strip;
    if (unit >= params.across || first >= params.down) { return; }
    let end = min(first + params.strip, params.down);
    let image = i32(group.z) * params.rows;
    let column = i32(4u * unit);
    let last = params.row - 1;
//% if scaled
    let beside = column - 2 < params.near || column + 6 > params.row - params.near;
//% for k in range(8)
    var scale{{ k }} = 1.0;
//% endfor
    if (beside) {
//% for k in range(8)
        scale{{ k }} = scale_across[clamp(column + {{ k - 2 }}, 0, last)];
//% endfor
    }
//% endif
//% if whole
    let units = params.row / 4;
    let before = max(i32(unit) - 1, 0);
    let after = min(i32(unit) + 1, units - 1);
//% endif
    // Pixels of the cell that are inside of the outermost.
    var inner = 0xfu;
    if (column == 0) { inner = 0xeu; }
    if (column + 4 > last) { inner &= (1u << u32(last - column)) - 1u; }
    // Of rows 0 and 1, the last two: differences across (d), sums across (t), of columns -1 to 4; lengths (m)
    // of those rows less one, and the gradient of row 1 less one.
//% for r in range(2)
//% for k in range(6)
    var d{{ r }}_{{ k }} = 0.0;
    var t{{ r }}_{{ k }} = 0.0;
    var m{{ r }}_{{ k }} = 0.0;
//% endfor
//% endfor
//% for k in range(1, 5)
    var i1_{{ k }} = 0.0;
    var j1_{{ k }} = 0.0;
//% endfor
    // The first step only fills the registers.
    for (var cell = i32(first) - 1; cell < i32(end); cell++) {
        var kept = 0u;
        var strong = 0u;
//% for r in range(2, 6)
//% for k in range(6)
        var d{{ r }}_{{ k }}: f32;
        var t{{ r }}_{{ k }}: f32;
        var m{{ r }}_{{ k }}: f32;
//% endfor
//% for k in range(1, 5)
        var i{{ r }}_{{ k }}: f32;
        var j{{ r }}_{{ k }}: f32;
//% endfor
//% endfor
//% if whole
        // All rows are asked for before the first is needed: a branch behind each would hold up the next.
//% for r in range(2, 6)
        let line{{ r }} = (image + clamp(4 * cell + {{ r }}, 0, params.rows - 1)) * units;
        let own{{ r }} = x[line{{ r }} + i32(unit)];
        let left{{ r }} = x[line{{ r }} + before].zw;
        let right{{ r }} = x[line{{ r }} + after].xy;
//% endfor
//% endif
//% for r in range(2, 6)
        {
            let row = clamp(4 * cell + {{ r }}, 0, params.rows - 1);
//% if whole
            var s0 = left{{ r }}.x;
            var s1 = select(left{{ r }}.y, own{{ r }}.x, column == 0);
            var s2 = own{{ r }}.x;
            var s3 = own{{ r }}.y;
            var s4 = own{{ r }}.z;
            var s5 = own{{ r }}.w;
            var s6 = select(right{{ r }}.x, own{{ r }}.w, column + 4 > last);
            var s7 = right{{ r }}.y;
//% else
            let line = (image + row) * params.row;
//% for k in range(8)
            var s{{ k }} = x[line + clamp(column + {{ k - 2 }}, 0, last)];
//% endfor
//% endif
//% if scaled
            if (beside || row < params.near || row >= params.rows - params.near) {
                let scale = scale_down[row];
//% for k in range(8)
                s{{ k }} *= scale * scale{{ k }};
//% endfor
            }
//% endif
//% for k in range(6)
            d{{ r }}_{{ k }} = s{{ k + 2 }} - s{{ k }};
            t{{ r }}_{{ k }} = (s{{ k }} + s{{ k + 2 }}) + 2.0 * s{{ k + 1 }};
            let i{{ k }} = t{{ r }}_{{ k }} - t{{ r - 2 }}_{{ k }};
            let j{{ k }} = (d{{ r }}_{{ k }} + d{{ r - 2 }}_{{ k }}) + 2.0 * d{{ r - 1 }}_{{ k }};
            m{{ r }}_{{ k }} = sqrt(i{{ k }} * i{{ k }} + j{{ k }} * j{{ k }});
//% endfor
//% for k in range(1, 5)
            i{{ r }}_{{ k }} = i{{ k }};
            j{{ r }}_{{ k }} = j{{ k }};
//% endfor
        }
        let at{{ r }} = 4 * cell + {{ r - 2 }};
        if (cell >= i32(first) && at{{ r }} > 0 && at{{ r }} + 1 < params.rows) {
//% for k in range(1, 5)
            {
                let m = m{{ r - 1 }}_{{ k }};
                let above = vec3<f32>(m{{ r - 2 }}_{{ k - 1 }}, m{{ r - 2 }}_{{ k }}, m{{ r - 2 }}_{{ k + 1 }});
                let below = vec3<f32>(m{{ r }}_{{ k - 1 }}, m{{ r }}_{{ k }}, m{{ r }}_{{ k + 1 }});
                let beside = vec2<f32>(m{{ r - 1 }}_{{ k - 1 }}, m{{ r - 1 }}_{{ k + 1 }});
                let on = m >= params.low && tops(i{{ r - 1 }}_{{ k }}, j{{ r - 1 }}_{{ k }}, m, above, beside, below);
                kept |= select(0u, {{ 2 ** (4 * (r - 2) + k - 1) }}u, on);
                strong |= select(0u, {{ 2 ** (4 * (r - 2) + k - 1) }}u, on && m >= params.high);
            }
//% endfor
        }
//% endfor
        if (cell >= i32(first)) {
            strong &= inner * 0x1111u;
            strong |= strong >> 1u;
            strong |= strong >> 4u;
            let blocks = (strong & 1u) | ((strong >> 1u) & 2u) | ((strong >> 6u) & 4u) | ((strong >> 7u) & 8u);
            y[(group.z * params.down + u32(cell)) * params.across + unit] = (kept & (inner * 0x1111u)) | (blocks << 16u);
        }
//% for k in range(6)
//% for r in range(2)
        d{{ r }}_{{ k }} = d{{ r + 4 }}_{{ k }};
        t{{ r }}_{{ k }} = t{{ r + 4 }}_{{ k }};
        m{{ r }}_{{ k }} = m{{ r + 4 }}_{{ k }};
//% endfor
//% endfor
//% for k in range(1, 5)
        i1_{{ k }} = i5_{{ k }};
        j1_{{ k }} = j5_{{ k }};
//% endfor
    }
}
