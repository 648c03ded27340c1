// Source of a convolution as an implicit matrix product over a channels-last image.
//
// Row m is output pixel (image, oy, ox). K runs over the taps (ky, kx) and, within a tap, over the
// channels of x and then of x2: each (tap, source) is a segment of consecutive elements, so that no
// im2col matrix is ever made. Nearest 2x upsampling, stride and wrapping round (where what is beyond an
// edge is the opposite side) are address arithmetic.
//
// A batch is the four convolutions that make an image twice as high and wide: each of its four pixels
// over a pixel has a window and weights of its own. Those of odd y or x begin one further on.
struct Params {
    m: u32, n: u32,
    height: u32, width: u32,           // of the image in memory
    view_height: u32, view_width: u32, // of the image that is convolved, enlarged or not
    out_height: u32, out_width: u32,
    c1: u32, c2: u32,
    kernel_height: u32, kernel_width: u32, stride: u32, scale: u32, pad_top: i32, pad_left: i32,
    wrap_y: u32, wrap_x: u32,
    fused: u32,
    image_pitch: u32, image_first: u32,  // in units of F, see matmul/gemm/operands.wgsl
    splits: u32, plane: u32, pitch: u32, // see matmul/gemm/reduce.wgsl
}

// The window: constants, or in a flexible kernel uniforms.
//% set odd_y = " - i32(batch / 2u)" if batched else ""
//% set odd_x = " - i32(batch % 2u)" if batched else ""
//% if flexible
fn kernel_height() -> u32 { return params.kernel_height; }
fn kernel_width() -> u32 { return params.kernel_width; }
fn stride() -> u32 { return params.stride; }
fn scale() -> u32 { return params.scale; }
fn pad_top() -> i32 { return params.pad_top{{ odd_y }}; }
fn pad_left() -> i32 { return params.pad_left{{ odd_x }}; }
fn wrap_y() -> bool { return params.wrap_y != 0u; }
fn wrap_x() -> bool { return params.wrap_x != 0u; }
//% else
fn kernel_height() -> u32 { return {{ kernel_height }}u; }
fn kernel_width() -> u32 { return {{ kernel_width }}u; }
fn stride() -> u32 { return {{ stride }}u; }
fn scale() -> u32 { return {{ scale }}u; }
fn pad_top() -> i32 { return {{ pad_top }}{{ odd_y }}; }
fn pad_left() -> i32 { return {{ pad_left }}{{ odd_x }}; }
//% if wrap_y
fn wrap_y() -> bool { return true; }
//% else
fn wrap_y() -> bool { return false; }
//% endif
//% if wrap_x
fn wrap_x() -> bool { return true; }
//% else
fn wrap_x() -> bool { return false; }
//% endif
//% endif

struct Row { image: u32, y: i32, x: i32 }

//% if two
const SOURCES = 2u;
//% else
const SOURCES = 1u;
//% endif

// Row of the result, and the length of K.
fn result_row(m: u32) -> u32 {
//% if batched
    let x = m % params.out_width;
    let y = m / params.out_width;
    return ((2u * y + batch / 2u) * params.out_width + x) * 2u + batch % 2u;
//% else
    return m;
//% endif
}

fn depth() -> u32 { return kernel_height() * kernel_width() * (params.c1 + params.c2); }

fn image_of(m: u32) -> u32 { return m / (params.out_height * params.out_width); }

fn row_of(m: u32) -> Row {
    let ox = m % params.out_width;
    let rest = m / params.out_width;
    let oy = rest % params.out_height;
    return Row(
        rest / params.out_height,
        i32(oy * stride()) - pad_top(),
        i32(ox * stride()) - pad_left(),
    );
}

// A coordinate brought into 0 .. size - 1 by whole sizes, if its axis wraps round (unsigned, since
// OpenGL leaves remainders of negative numbers open).
fn turned(at: i32, size: u32, wraps: bool) -> i32 {
    let ahead = u32(max(at, 0)) % size;
    let behind = size - 1u - u32(max(-1 - at, 0)) % size;
    return select(at, i32(select(ahead, behind, at < 0)), wraps);
}

fn segments() -> u32 { return kernel_height() * kernel_width() * SOURCES; }

fn segment_source(s: u32) -> u32 { return s % SOURCES; }

fn segment_length(s: u32) -> u32 {
//% if two
    return select(params.c2, params.c1, s % SOURCES == 0u);
//% else
    return params.c1;
//% endif
}

// Element of the segment's source where it starts for a row, or NONE outside of the image.
fn segment_offset(s: u32, row: Row) -> u32 {
    let tap = s / SOURCES;
    let py = turned(row.y + i32(tap / kernel_width()), params.view_height, wrap_y());
    let px = turned(row.x + i32(tap % kernel_width()), params.view_width, wrap_x());
    if (py < 0 || px < 0 || u32(py) >= params.view_height || u32(px) >= params.view_width) {
        return NONE;
    }
    let pixel = (row.image * params.height + u32(py) / scale()) * params.width + u32(px) / scale();
    return pixel * segment_length(s);
}
//% if matrix is defined or walk is defined

// The same walk, pixel by pixel: where a row's window begins (a pixel, modulo 2^32), which of its
// taps lie in the image (bits 0 to 29), and a tap's pixel. Bits 30 and 31 are the parities of y and x,
// which enlarging by two needs.
fn taps() -> u32 { return {{ kernel_height * kernel_width }}u; }

fn channels(source: u32) -> u32 { return select(params.c2, params.c1, source == 0u); }

fn first_pixel(row: Row) -> u32 {
//% if scale == 2
    let y = row.y >> 1u;
    let x = row.x >> 1u;
//% else
    let y = row.y;
    let x = row.x;
//% endif
    return (row.image * params.height + u32(y)) * params.width + u32(x);
}

fn seen_taps(row: Row) -> u32 {
    var seen = ((u32(row.y) & 1u) << 30u) | ((u32(row.x) & 1u) << 31u);
    for (var tap = 0u; tap < taps(); tap++) {
        let y = u32(row.y) + tap / {{ kernel_width }}u;
        let x = u32(row.x) + tap % {{ kernel_width }}u;
        let inside = (wrap_y() || y < params.view_height) && (wrap_x() || x < params.view_width);
        seen |= select(0u, 1u, inside) << tap;
    }
    return seen;
}

fn tap_pixel(row: Row, first: u32, tap: u32, seen: u32) -> u32 {
    let y = tap / {{ kernel_width }}u;
    let x = tap % {{ kernel_width }}u;
//% if wrap_y or wrap_x
    let py = u32(turned(row.y + i32(y), params.view_height, wrap_y())) / scale();
    let px = u32(turned(row.x + i32(x), params.view_width, wrap_x())) / scale();
    return (row.image * params.height + py) * params.width + px;
//% elif scale == 2
    return first + ((y + ((seen >> 30u) & 1u)) >> 1u) * params.width + ((x + (seen >> 31u)) >> 1u);
//% else
    return first + y * params.width + x;
//% endif
}
//% endif
