// Each pixel of the result from a point of the source, which a 3 by 3 matrix gives from (row, column,
//% if perspective
// 1); the third coordinate divides the others. Order {{ order }}: {{ {0: "the nearest pixel", 1: "linear between four pixels", 3: "cubic B-splines over sixteen coefficients, made before"}[order] }}.
//% else
// 1). Order {{ order }}: {{ {0: "the nearest pixel", 1: "linear between four pixels", 3: "cubic B-splines over sixteen coefficients, made before"}[order] }}.
//% endif
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

//% if tiled and target == "f32"
@group(0) @binding(1) var<storage, read_write> y: array<f32x1>;
//% else
@group(0) @binding(1) var<storage, read_write> y: array<Y>;
//% endif
@group(0) @binding(2) var<uniform> params: Params;

//% set which, value = ("", "V") if tiled else (", channel", "f32")
//% set channel = "" if tiled else ", channel: u32"
fn at(image: u32, row: i32, column: i32{{ channel }}) -> {{ value }} {
    let r = inside(row, params.size.x, params.mode);
    let c = inside(column, params.size.y, params.mode);
    if (min(r, c) < 0) { return {{ value }}(params.fill); }
    let line = image * u32(params.size.x) + u32(r);
//% if tiled
    return pixel_at(line * u32(params.size.y) + u32(c));
//% else
    return load((line * u32(params.size.y) + u32(c)) * CHANNELS + channel);
//% endif
}
//% if order == 3

fn spline(t: f32) -> vec4<f32> {
    let s = 1.0 - t;
    let a = s * s * s;
    let d = t * t * t;
    return vec4<f32>(a, 4.0 - 6.0 * t * t + 3.0 * d, 4.0 - 6.0 * s * s + 3.0 * a, d) / 6.0;
}
//% endif

fn sampled(image: u32, row: u32, place: u32{{ channel }}) -> {{ value }} {
    let here = vec3<f32>(f32(row), f32(place), 1.0);
    var point = vec2<f32>(dot(params.m0.xyz, here), dot(params.m1.xyz, here));
//% if perspective
    point /= dot(params.m2.xyz, here);
//% endif
    let inner = vec2<f32>(params.size - 1 - 2 * i32(params.margin));
    if (params.strict != 0u && !(all(point >= vec2<f32>(0.0)) && all(point <= inner))) {
        return {{ value }}(params.fill);
    }
    point = clamp(point + f32(params.margin), vec2<f32>(-16777216.0), vec2<f32>(16777216.0));
//% if order == 0
    let near = vec2<i32>(floor(point + 0.5));
    return at(image, near.x, near.y{{ which }});
//% else
    let corner = floor(point);
    let t = point - corner;
    let p = vec2<i32>(corner);
//% if order == 1
//% if tiled
    var a: V;
    var b: V;
    var c: V;
    var d: V;
    if (all(p >= vec2<i32>(0)) && all(p < params.size - 1)) {
        let first = (image * u32(params.size.x) + u32(p.x)) * u32(params.size.y) + u32(p.y);
        let second = first + u32(params.size.y);
        a = pixel_at(first);
        b = pixel_at(first + 1u);
        c = pixel_at(second);
        d = pixel_at(second + 1u);
    } else {
        a = at(image, p.x, p.y);
        b = at(image, p.x, p.y + 1);
        c = at(image, p.x + 1, p.y);
        d = at(image, p.x + 1, p.y + 1);
    }
//% else
    let a = at(image, p.x, p.y, channel);
    let b = at(image, p.x, p.y + 1, channel);
    let c = at(image, p.x + 1, p.y, channel);
    let d = at(image, p.x + 1, p.y + 1, channel);
//% endif
    return (1.0 - t.x) * ((1.0 - t.y) * a + t.y * b) + t.x * ((1.0 - t.y) * c + t.y * d);
//% else
    let down = spline(t.x);
    let across = spline(t.y);
    var total = {{ value }}();
    for (var i = 0; i < 4; i++) {
        var sum = {{ value }}();
        for (var j = 0; j < 4; j++) {
            sum += across[j] * at(image, p.x - 1 + i, p.y - 1 + j{{ which }});
        }
        total += down[i] * sum;
    }
    return total;
//% endif
//% endif
}
//% if tiled
//% set columns = false
//% include "image/pixel_tiles.wgsl"
//% else

fn element(image: u32, row: u32, column: u32) -> F {
    let place = column / CHANNELS;
    return sampled(image, row, place, column - place * CHANNELS);
}
//% include "image/cells.wgsl"
//% endif
