// Colours of pixels: {{ op }}.
//% if unit == 1
// Values of f32 are in 0 .. 1 (L*a*b* in its own units); levels of u8 are 0 .. 255 as they are.
//% else
// Values of f32 are in 0 .. 1 (L*a*b* in its own units); levels of u8 are divided by 255 first.
//% endif

const UNIT = {{ unit }};

//% if op == "rgb_to_grey"
fn convert(v: In) -> Out {
//% if source == "u8"
    // Pillow's integers: thousandths of ITU-R BT.601 in parts of 65536, rounded to the nearest.
    return (v.x * 19595u + v.y * 38470u + v.z * 7471u + 0x8000u) >> 16u;
//% else
    return 0.299 * v.x + 0.587 * v.y + 0.114 * v.z;
//% endif
}
//% elif op == "rgb_to_ycbcr"
//% set clamped = false
//% if source == "u8"
// JFIF (ITU-T T.871): ITU-R BT.601 over the full range. Of levels, only the greatest differences leave it, by a half.
//% else
// JFIF (ITU-T T.871): ITU-R BT.601 over the full range.
//% endif
fn convert(v: In) -> Out {
    let luma = 0.299 * v.x + 0.587 * v.y + 0.114 * v.z;
//% if source == "u8"
    let middle = 128.0;
//% else
    let middle = 0.5;
//% endif
    let blue = (v.z - luma) * (1.0 / 1.772) + middle;
    let red = (v.x - luma) * (1.0 / 1.402) + middle;
//% if source == "u8"
    return Out(luma, min(blue, 255.0), min(red, 255.0));
//% else
    return Out(luma, blue, red);
//% endif
}
//% elif op == "ycbcr_to_rgb"
fn convert(v: In) -> Out {
//% if source == "u8"
    let middle = 128.0;
//% else
    let middle = 0.5;
//% endif
    let b = v.y - middle;
    let r = v.z - middle;
    return Out(
        v.x + 1.402 * r,
        v.x - (0.114 * 1.772 / 0.587) * b - (0.299 * 1.402 / 0.587) * r,
        v.x + 1.772 * b,
    );
}
//% elif op == "rgb_to_hsv"
// Smith 1978, doi 10.1145/800248.807361, with the hue in turns.
fn convert(v: In) -> Out {
    let most = max(v.x, max(v.y, v.z));
    let span = most - min(v.x, min(v.y, v.z));
    if (span == 0.0) { return Out(0.0, 0.0, most / UNIT); }
    var hue = 4.0 + (v.x - v.y) / span;
    if (most == v.y) { hue = 2.0 + (v.z - v.x) / span; }
    if (most == v.x) { hue = (v.y - v.z) / span; }
    // Just below 0, the sum would round to 6, a whole turn.
    if (hue < 0.0) { hue = min(hue + 6.0, 5.9999995); }
    return Out(hue / 6.0, span / most, most / UNIT);
}
//% elif op == "hsv_to_rgb"
fn convert(v: In) -> Out {
    let turn = 6.0 * (v.x - floor(v.x));
    let far = abs((vec3<f32>(5.0, 3.0, 1.0) + turn) % 6.0 - 2.0);
    return v.z * (1.0 - v.y * clamp(2.0 - far, vec3<f32>(0.0), vec3<f32>(1.0)));
}
//% elif op == "to_float" or op == "to_u8"
fn convert(v: In) -> Out {
//% if op == "to_float"
    return v / 255.0;
//% else
    return v * 255.0;
//% endif
}
//% else
// IEC 61966-2-1; below 0 the straight part goes on.
fn linear(v: f32) -> f32 {
    return select(pow(max((v + 0.055) / 1.055, 0.0), 2.4), v / 12.92, v <= 0.04045);
}

fn encoded(v: f32) -> f32 {
    return select(1.055 * pow(max(v, 0.0), 1.0 / 2.4) - 0.055, v * 12.92, v <= 0.0031308);
}
//% if op == "srgb_to_linear" or op == "linear_to_srgb"

fn convert(v: In) -> Out {
//% set each = "linear" if op == "srgb_to_linear" else "encoded"
//% if ci == 1
    return {{ each }}(v / UNIT);
//% else
    return Out({% for c in "xyzw"[:ci] %}{{ ", " if not loop.first }}{{ "v.%s / UNIT" % c if c == "w" else "%s(v.%s / UNIT)" % (each, c) }}{% endfor %});
//% endif
}
//% else

// CIE 15: the cube root, straight below (6 / 29)^3, and back; D65 white. The matrices are those of
// ITU-R BT.709's primaries and the inverse, to nine places.
const WHITE = vec3<f32>(0.95047, 1.0, 1.08883);
const STEP = 6.0 / 29.0;
//% if op == "rgb_to_lab"

fn curve(t: f32) -> f32 {
    return select(pow(max(t, 0.0), 1.0 / 3.0), t / (3.0 * STEP * STEP) + 4.0 / 29.0, t <= STEP * STEP * STEP);
}

fn convert(v: In) -> Out {
    let c = vec3<f32>(linear(v.x / UNIT), linear(v.y / UNIT), linear(v.z / UNIT));
    let x = curve(dot(vec3<f32>(0.412453, 0.357580, 0.180423), c) / WHITE.x);
    let y = curve(dot(vec3<f32>(0.212671, 0.715160, 0.072169), c));
    let z = curve(dot(vec3<f32>(0.019334, 0.119193, 0.950227), c) / WHITE.z);
    return Out(116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z));
}
//% else

fn uncurve(t: f32) -> f32 {
    return select(t * t * t, 3.0 * STEP * STEP * (t - 4.0 / 29.0), t <= STEP);
}

fn convert(v: In) -> Out {
    let y = (v.x + 16.0) / 116.0;
    let c = WHITE * vec3<f32>(uncurve(y + v.y / 500.0), uncurve(y), uncurve(y - v.z / 200.0));
    return Out(
        encoded(dot(vec3<f32>(3.240481343, -1.537151516, -0.498536326), c)),
        encoded(dot(vec3<f32>(-0.969254950, 1.875990001, 0.041555927), c)),
        encoded(dot(vec3<f32>(0.055646639, -0.204041338, 1.057311070), c)),
    );
}
//% endif
//% endif
//% endif
//% include "image/pixels.wgsl"
