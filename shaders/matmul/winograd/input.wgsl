// Pixels for blocks of {{ block }} x {{ block }} results: V = B' d B of those under each block (Lavin and Gray 2015,
// arXiv 1509.09308), computed in f32 and rounded once. One word of channels of one block an invocation;
// neighbours take neighbouring channels.
//
// Memory: x1 is (images, height, width, c1) of the storage scalar S, x2 the second source, whose channels
// follow those of x1; v is (planes, blocks, c1 + c2). Blocks are counted from `first` on, row by row.
// Limits: words of several channels want c1 and c2 to be multiples of as many; V of values beyond a quarter of
// S's range, or 0.49 of it for blocks of 4, may be infinite.
//% include "arrays/combination/flat.wgsl"
//% from "matmul/winograd/transforms.wgsl" import pixel_scale, of_pixels, pixels, plane, points with context

// units: words of a pixel, units1 of them from x1; across, down: blocks of an image; view_height,
// view_width: of the image that is convolved, which is `scale` times the one in memory.
struct Params {
    count: u32,
    units: u32,
    units1: u32,
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

struct Part { first: u32 }

@group(0) @binding(0) var<storage, read> x1: array<W>;
//% if two
@group(0) @binding(1) var<storage, read> x2: array<W>;
//% endif
@group(0) @binding(2) var<storage, read_write> v: array<W>;
@group(0) @binding(3) var<uniform> part: Part;

const params = Params({{ sizes }});

const NONE = 0xffffffffu;

// A coordinate of the image in memory, or NONE: `at` is one more than that of the view.
fn inside(at: u32, size: u32, wraps: bool) -> u32 {
    let turned = select(at - 1u, (at + size - 1u) % size, wraps);
//% if doubles
    return select(turned, NONE, turned >= size);
//% else
    return select(turned / params.scale, NONE, turned >= size);
//% endif
}

// A word of a pixel, zero outside of the image whose first pixel is `image`.
fn pixel(image: u32, y: u32, x: u32, unit: u32) -> F {
    let at = image + min(y, params.height - 1u) * params.width + min(x, params.width - 1u);
//% if two
    var word: W;
    if (unit < params.units1) {
        word = x1[at * params.units1 + unit];
    } else {
        word = x2[at * (params.units - params.units1) + unit - params.units1];
    }
//% else
    let word = x1[at * params.units1 + unit];
//% endif
    return select(F(), F(word), y != NONE && x != NONE);
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = word_of(id);
    if (i >= params.count) { return; }
    let unit = i % params.units;
    let block = part.first + i / params.units;
    let column = block % params.across;
    let row = block / params.across % params.down;
    let image = block / params.across / params.down * params.height * params.width;
//% set step = 1 if doubles else block
//% set size = "" if doubles else "view_"
//% for k in range(pixels)
    let py{{ k }} = inside({{ step }}u * row + {{ k }}u, params.{{ size }}height, params.wrap_y != 0u);
    let px{{ k }} = inside({{ step }}u * column + {{ k }}u, params.{{ size }}width, params.wrap_x != 0u);
//% endfor
//% for y in range(pixels)
//% for x in range(pixels)
    let d{{ y }}{{ x }} = pixel(image, py{{ y }}, px{{ x }}, unit);
//% endfor
//% endfor
//% for k in range(points)
//% for x in range(pixels)
//% set column = []
//% for y in range(pixels)
//% set _ = column.append("d%d%d" % (y, x))
//% endfor
    let e{{ k }}{{ x }} = {{ of_pixels(k, column) }};
//% endfor
//% endfor
//% for y in range(points)
//% set row = []
//% for x in range(pixels)
//% set _ = row.append("e%d%d" % (y, x))
//% endfor
//% for k in range(points)
    v[i + {{ plane(y, k) }}u * params.count] = W({{ pixel_scale }} * ({{ of_pixels(k, row) }}));
//% endfor
//% endfor
}
