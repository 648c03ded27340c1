// Transposes matrices of bytes through workgroup memory, in blocks of 128 by 128: a lane reads four bytes of four
// rows, turns the square of sixteen in registers, and lanes write words of four that are neighbours in y.
//
// Memory: x is (outer, 4 rows, 4 columns) of bytes, y (outer, 4 columns, 4 rows), both in words of four bytes.
// Workgroup memory: 16 KiB. Limits: 2^34 bytes; a row of 65535 workgroups, then the next.

alias {{ kind }}x4 = u32;

// down and across: blocks of a matrix; rows and columns in words.
struct Params { rows: u32, columns: u32, down: u32, across: u32, count: u32 }

@group(0) @binding(0) var<storage, read> x: array<{{ kind }}x4>;
@group(0) @binding(1) var<storage, read_write> y: array<{{ kind }}x4>;
@group(0) @binding(2) var<uniform> params: Params;

const SIDE = 32u;

// Rows are columns of x; words of a row change places, so that neighbouring lanes use different banks.
var<workgroup> turned: array<u32, 4u * SIDE * SIDE>;

// Bytes `low` and `low` + 1 of two words: those of a, then those of b.
fn even_bytes(a: u32, b: u32) -> u32 { return (a & 0x00ff00ffu) | ((b & 0x00ff00ffu) << 8u); }

fn odd_bytes(a: u32, b: u32) -> u32 { return ((a >> 8u) & 0x00ff00ffu) | (b & 0xff00ff00u); }

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let i = group.x + group.y * 65535u;
    if (i >= params.count) { return; }
    let block = i % (params.down * params.across);
    let start = i / (params.down * params.across) * 4u * params.rows * params.columns;
    let row = block / params.across * SIDE;
    let column = block % params.across * SIDE;
    let near = t % SIDE;
    let far = t / SIDE;
    let c = min(column + near, params.columns - 1u);
//% for j in range(4)
    let r{{ j }} = 4u * min(row + far + {{ 8 * j }}u, params.rows - 1u);
//% for k in range(4)
    let w{{ j }}{{ k }} = x[start + (r{{ j }} + {{ k }}u) * params.columns + c];
//% endfor
//% endfor
//% for j in range(4)
    let even{{ j }} = vec2<u32>(even_bytes(w{{ j }}0, w{{ j }}1), even_bytes(w{{ j }}2, w{{ j }}3));
    let odd{{ j }} = vec2<u32>(odd_bytes(w{{ j }}0, w{{ j }}1), odd_bytes(w{{ j }}2, w{{ j }}3));
    let at{{ j }} = 4u * near * SIDE + ((far + {{ 8 * j }}u) ^ near);
    turned[at{{ j }}] = (even{{ j }}.x & 0xffffu) | (even{{ j }}.y << 16u);
    turned[at{{ j }} + SIDE] = (odd{{ j }}.x & 0xffffu) | (odd{{ j }}.y << 16u);
    turned[at{{ j }} + 2u * SIDE] = (even{{ j }}.x >> 16u) | (even{{ j }}.y & 0xffff0000u);
    turned[at{{ j }} + 3u * SIDE] = (odd{{ j }}.x >> 16u) | (odd{{ j }}.y & 0xffff0000u);
//% endfor
    workgroupBarrier();
//% for j in range(16)
    let c{{ j }} = far + {{ 8 * j }}u;
    if (4u * column + c{{ j }} < 4u * params.columns && row + near < params.rows) {
        y[start + (4u * column + c{{ j }}) * params.rows + row + near] = turned[c{{ j }} * SIDE + (near ^ (c{{ j }} / 4u))];
    }
//% endfor
}
