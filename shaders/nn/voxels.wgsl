// Source of a convolution over three axes as an implicit matrix product (see matmul/conv/pixels.wgsl, which
// does two), with a stride, a dilation and a start for each axis.
//
// Row m is output pixel (image, z, y, x), K runs over the taps (kz, ky, kx) and their channels: each
// tap is a segment of consecutive elements. A start may lie before the image or inside of it. The images
// of a batch's products lie one behind the other.
struct Params {
    m: u32, n: u32, c1: u32,
    size_z: u32, size_y: u32, size_x: u32,
    result_z: u32, result_y: u32, result_x: u32,
    // kernel_height counts the lines of all planes, kernel_rows those of one; stride is that of x, and
    // scale 1: tables of tiles name products by these two.
    kernel_height: u32, kernel_width: u32, kernel_rows: u32,
    stride: u32, scale: u32, stride_z: u32, stride_y: u32,
    dilation_z: u32, dilation_y: u32, dilation_x: u32,
    before_z: i32, before_y: i32, before_x: i32,
    fused: u32,
    image_pitch: u32, image_first: u32,  // in units of F, see matmul/gemm/operands.wgsl
    splits: u32, plane: u32, pitch: u32, // see matmul/gemm/reduce.wgsl
}

struct Row { image: u32, z: i32, y: i32, x: i32 }

// Row of the result, and the length of K.
//% if batched
fn result_row(m: u32) -> u32 { return batch * params.m + m; }
//% else
fn result_row(m: u32) -> u32 { return m; }
//% endif

fn depth() -> u32 { return segments() * params.c1; }

fn image_of(m: u32) -> u32 { return m / (params.result_z * params.result_y * params.result_x); }

fn row_of(m: u32) -> Row {
    let line = m / params.result_x;
    let plane = line / params.result_y;
    let image = plane / params.result_z;
    return Row(
//% if batched
        batch * image_of(params.m) + image,
//% else
        image,
//% endif
        i32((plane - image * params.result_z) * params.stride_z) - params.before_z,
        i32((line - plane * params.result_y) * params.stride_y) - params.before_y,
        i32((m - line * params.result_x) * params.stride) - params.before_x,
    );
}

fn segments() -> u32 { return params.kernel_height * params.kernel_width; }

fn segment_source(s: u32) -> u32 { return 0u; }

fn segment_length(s: u32) -> u32 { return params.c1; }

// Where tap s of a row lies along the axes, modulo 2^32.
fn tap_place(s: u32, z: i32, y: i32, x: i32) -> vec3<u32> {
    let line = s / params.kernel_width;
    let plane = line / params.kernel_rows;
    return vec3<u32>(
        u32(z) + plane * params.dilation_z,
        u32(y) + (line - plane * params.kernel_rows) * params.dilation_y,
        u32(x) + (s - line * params.kernel_width) * params.dilation_x,
    );
}

fn seen(place: vec3<u32>) -> bool {
    return place.x < params.size_z && place.y < params.size_y && place.z < params.size_x;
}

// Element of x where the segment starts for a row, or NONE outside of the image.
fn segment_offset(s: u32, row: Row) -> u32 {
    let at = tap_place(s, row.z, row.y, row.x);
    if (!seen(at)) { return NONE; }
    let plane = row.image * params.size_z + at.x;
    return ((plane * params.size_y + at.y) * params.size_x + at.z) * params.c1;
}
//% if matrix is defined or walk is defined

// The same walk, pixel by pixel: where a row's window begins (a pixel, modulo 2^32), which of its
// taps lie in the image, and a tap's pixel.
fn taps() -> u32 { return {{ kernel_height * kernel_width }}u; }

fn channels(source: u32) -> u32 { return params.c1; }

fn first_pixel(row: Row) -> u32 {
    let plane = row.image * params.size_z + u32(row.z);
    return (plane * params.size_y + u32(row.y)) * params.size_x + u32(row.x);
}

fn seen_taps(row: Row) -> u32 {
    var bits = 0u;
    for (var tap = 0u; tap < taps(); tap++) {
        bits |= select(0u, 1u, seen(tap_place(tap, row.z, row.y, row.x))) << tap;
    }
    return bits;
}

fn tap_pixel(row: Row, first: u32, tap: u32, bits: u32) -> u32 {
    let way = tap_place(tap, 0, 0, 0);
    return first + (way.x * params.size_y + way.y) * params.size_x + way.z;
}
//% endif
