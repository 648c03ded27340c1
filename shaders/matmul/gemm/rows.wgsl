// Source of a plain matrix product, or of a batch: row m of x is K consecutive elements. One segment.
struct Params {
    m: u32, n: u32, k: u32, rows: u32, fused: u32,
    image_pitch: u32, image_first: u32,  // in units of F, see matmul/gemm/operands.wgsl
    splits: u32, plane: u32, pitch: u32, // see matmul/gemm/reduce.wgsl
}

struct Row { m: u32 }

fn row_of(m: u32) -> Row { return Row(m); }

// Row of the result, and the length of K.
//% if batched
fn result_row(m: u32) -> u32 { return batch * params.m + m; }
//% else
fn result_row(m: u32) -> u32 { return m; }
//% endif

fn depth() -> u32 { return params.k; }

fn image_of(m: u32) -> u32 { return m / params.rows; }

fn segments() -> u32 { return 1u; }

fn segment_length(s: u32) -> u32 { return params.k; }

fn segment_source(s: u32) -> u32 { return 0u; }

// Element of x where the segment starts for a row, or NONE.
//% if batched
fn segment_offset(s: u32, row: Row) -> u32 { return (batch * params.m + row.m) * params.k; }
//% else
fn segment_offset(s: u32, row: Row) -> u32 { return row.m * params.k; }
//% endif
//% if matrix is defined or walk is defined

// The same, pixel by pixel: one tap, "pixels" of k channels.
fn taps() -> u32 { return 1u; }

fn channels(source: u32) -> u32 { return params.k; }

//% if batched
fn first_pixel(row: Row) -> u32 { return batch * params.m + row.m; }
//% else
fn first_pixel(row: Row) -> u32 { return row.m; }
//% endif
//% endif
