// Pixels for F(2 x 2, 3 x 3): V = B' d B of the 4 x 4 pixels under each 2 x 2 block of results (Lavin
// and Gray 2015, arXiv 1509.09308), computed in f32 and rounded once. One word of channels of one block
// an invocation; neighbours take neighbouring channels.
//
// Memory: x is (images, height, width, c1) of the storage scalar S, x2 the second source, whose channels
// follow those of x; v is (16, blocks, c1 + c2). Blocks are counted from `first` on, row by row.
// Limits: words of four channels want c1 and c2 to be multiples of four; V of values beyond a quarter of
// S's range may be infinite.
//% include "elementwise/flat.wgsl"

// units: words of a pixel, units1 of them from x; across, down: blocks of an image; view_height,
// view_width: of the image that is convolved, which is `scale` times the one in memory.
struct Params {
    count: u32,
    units: u32,
    units1: u32,
    first: u32,
    across: u32,
    down: u32,
    height: u32,
    width: u32,
    view_height: u32,
    view_width: u32,
    scale: u32,
    wrap_y: u32,
    wrap_x: u32,
}

@group(0) @binding(0) var<storage, read> x: array<W>;
//% if two
@group(0) @binding(1) var<storage, read> x2: array<W>;
//% endif
@group(0) @binding(2) var<storage, read_write> v: array<W>;
@group(0) @binding(3) var<uniform> params: Params;

const NONE = 0xffffffffu;

// A coordinate of the image in memory, or NONE: `at` is one more than that of the view.
fn inside(at: u32, size: u32, wraps: bool) -> u32 {
    let turned = select(at - 1u, (at + size - 1u) % size, wraps);
    return select(turned / params.scale, NONE, turned >= size);
}
//% macro pixels(source, units, unit)
//% for y in range(4)
//% for x in range(4)
        if (py{{ y }} != NONE && px{{ x }} != NONE) {
            d{{ y }}{{ x }} = F({{ source }}[(image + py{{ y }} * params.width + px{{ x }}) * {{ units }} + {{ unit }}]);
        }
//% endfor
//% endfor
//% endmacro

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = word_of(id);
    if (i >= params.count) { return; }
    let unit = i % params.units;
    let block = params.first + i / params.units;
    let column = block % params.across;
    let row = block / params.across % params.down;
    let image = block / params.across / params.down * params.height * params.width;
//% for k in range(4)
    let py{{ k }} = inside(2u * row + {{ k }}u, params.view_height, params.wrap_y != 0u);
    let px{{ k }} = inside(2u * column + {{ k }}u, params.view_width, params.wrap_x != 0u);
//% endfor
//% for y in range(4)
//% for x in range(4)
    var d{{ y }}{{ x }} = F();
//% endfor
//% endfor
//% if two
    if (unit >= params.units1) {
        let units2 = params.units - params.units1;
{{ pixels("x2", "units2", "unit - params.units1") }}
    } else {
{{ pixels("x", "params.units1", "unit") }}
    }
//% else
    {
{{ pixels("x", "params.units1", "unit") }}
    }
//% endif
//% for x in range(4)
    let e0{{ x }} = d0{{ x }} - d2{{ x }};
    let e1{{ x }} = d1{{ x }} + d2{{ x }};
    let e2{{ x }} = d2{{ x }} - d1{{ x }};
    let e3{{ x }} = d1{{ x }} - d3{{ x }};
//% endfor
//% for y in range(4)
    v[i + {{ 4 * y }}u * params.count] = W(e{{ y }}0 - e{{ y }}2);
    v[i + {{ 4 * y + 1 }}u * params.count] = W(e{{ y }}1 + e{{ y }}2);
    v[i + {{ 4 * y + 2 }}u * params.count] = W(e{{ y }}2 - e{{ y }}1);
    v[i + {{ 4 * y + 3 }}u * params.count] = W(e{{ y }}1 - e{{ y }}3);
//% endfor
}
