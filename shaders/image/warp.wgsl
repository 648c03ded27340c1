// Each pixel of the result from a point of the source, which a 3 by 3 matrix gives from (row, column,
// 1){{ "; the third coordinate divides the others" if perspective else "" }}. Order {{ order }}: {{ {0: "the nearest pixel", 1: "linear between four pixels", 3: "cubic B-splines over sixteen coefficients, made before"}[order] }}.
// Beyond the edge the source goes on by the border's mode; where it is strict, a point outside gives
// the fill.
//% include "image/border.wgsl"

// m: rows of the matrix; size: height and width of the source in pixels.
struct Params {
    m0: vec4<f32>,
    m1: vec4<f32>,
    m2: vec4<f32>,
    size: vec2<i32>,
    elements: u32,
    rows: u32,
    row: u32,
    mode: u32,
    strict: u32,
    margin: u32,
    fill: f32,
}

@group(0) @binding(1) var<storage, read_write> y: array<Y>;
@group(0) @binding(2) var<uniform> params: Params;

fn at(image: u32, row: i32, column: i32, channel: u32) -> f32 {
    let r = inside(row, params.size.x, params.mode);
    let c = inside(column, params.size.y, params.mode);
    if (min(r, c) < 0) { return params.fill; }
    let line = image * u32(params.size.x) + u32(r);
    return load((line * u32(params.size.y) + u32(c)) * CHANNELS + channel);
}
//% if order == 3

fn spline(t: f32) -> vec4<f32> {
    let s = 1.0 - t;
    let a = s * s * s;
    let d = t * t * t;
    return vec4<f32>(a, 4.0 - 6.0 * t * t + 3.0 * d, 4.0 - 6.0 * s * s + 3.0 * a, d) / 6.0;
}
//% endif

fn element(image: u32, row: u32, column: u32) -> F {
    let place = column / CHANNELS;
    let channel = column - place * CHANNELS;
    let here = vec3<f32>(f32(row), f32(place), 1.0);
    var point = vec2<f32>(dot(params.m0.xyz, here), dot(params.m1.xyz, here));
//% if perspective
    point /= dot(params.m2.xyz, here);
//% endif
    let inner = vec2<f32>(params.size - 1 - 2 * i32(params.margin));
    if (params.strict != 0u && !(all(point >= vec2<f32>(0.0)) && all(point <= inner))) {
        return params.fill;
    }
    point = clamp(point + f32(params.margin), vec2<f32>(-16777216.0), vec2<f32>(16777216.0));
//% if order == 0
    let near = vec2<i32>(floor(point + 0.5));
    return at(image, near.x, near.y, channel);
//% else
    let corner = floor(point);
    let t = point - corner;
    let p = vec2<i32>(corner);
//% if order == 1
    let a = at(image, p.x, p.y, channel);
    let b = at(image, p.x, p.y + 1, channel);
    let c = at(image, p.x + 1, p.y, channel);
    let d = at(image, p.x + 1, p.y + 1, channel);
    return (1.0 - t.x) * ((1.0 - t.y) * a + t.y * b) + t.x * ((1.0 - t.y) * c + t.y * d);
//% else
    let down = spline(t.x);
    let across = spline(t.y);
    var total = 0.0;
    for (var i = 0; i < 4; i++) {
        var sum = 0.0;
        for (var j = 0; j < 4; j++) {
            sum += across[j] * at(image, p.x - 1 + i, p.y - 1 + j, channel);
        }
        total += down[i] * sum;
    }
    return total;
//% endif
//% endif
}
//% include "image/cells.wgsl"
