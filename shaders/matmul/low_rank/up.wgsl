// The wide half of a low-rank update: rows of ranks times a flat matrix, which their image chooses, and a
// residual. An invocation makes {{ width }} column(s) of four rows of an image, rank by rank, in f32.
//
// Layout: t (images, rows, groups * ranks) of f32 or f16; up (slots, ranks, columns), residual and y (images,
// rows, columns) in words of the scalar S. Columns of a group, `share` of them, read the ranks of that
// group. chosen has the slot of each image, or NONE. Rows of images that choose none are the residual;
// without one they are -0, which changes no number that it is added to.
// Where there are counts, results that are infinite or NaN are added to the first.
// Limits: 2^32 - 2^11 invocations, and 2^32 elements of up.
//% include "arrays/combination/flat.wgsl"

struct Params { rows: u32, blocks: u32, ranks: u32, groups: u32, columns: u32, share: u32, count: u32, first: u32, first_up: u32 }

@group(0) @binding(0) var<storage, read> t: array<{{ narrow }}>;
@group(0) @binding(1) var<storage, read> up: array<W>;
@group(0) @binding(2) var<storage, read> chosen: array<u32>;
//% if residual
@group(0) @binding(3) var<storage, read> residual: array<W>;
//% endif
//% if counts
@group(0) @binding(4) var<storage, read_write> counts: array<atomic<u32>>;
//% endif
@group(0) @binding(5) var<storage, read_write> y: array<W>;
@group(0) @binding(6) var<uniform> params: Params;

const NONE = 0xffffffffu;
//% if counts
// From these bits on, a number is infinite or NaN in S: 65520 would be rounded up.
//% if scalar == "f16"
const BEYOND = 0x477ff000u;
//% else
const BEYOND = 0x7f800000u;
//% endif
//% endif

fn store(at: u32, sum: F) {
//% if residual
    let made = F(residual[at]) + sum;
//% else
    let made = sum;
//% endif
    y[at] = W(made);
//% if counts
    var found = 0u;
//% for k in range(width)
//% set part = "made[%d]" % k if width > 1 else "made"
    if ((bitcast<u32>({{ part }}) & 0x7fffffffu) >= BEYOND) { found += 1u; }
//% endfor
    if (found > 0u) { atomicAdd(&counts[0], found); }
//% endif
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let index = word_of(id);
    if (index >= params.count) { return; }
    let column = index % params.columns;
    let block = index / params.columns;
    let image = block / params.blocks;
    let row = block % params.blocks * 4u;
    let last = params.rows - 1u;
//% for i in range(4)
    let row{{ i }} = image * params.rows + min(row + {{ i }}u, last);
    var sum{{ i }} = F();
//% endfor
    let width = params.groups * params.ranks;
    let first = params.first + column / params.share * params.ranks;
    let slot = chosen[image];
    if (slot == NONE) {
        // Compilers make 0 of a constant -0.
        let nothing = -F(f32(slot - NONE));
//% for i in range(4)
        sum{{ i }} = nothing;
//% endfor
    } else {
        for (var r = 0u; r < params.ranks; r++) {
            let weight = F(up[params.first_up + (slot * params.ranks + r) * params.columns + column]);
//% for i in range(4)
            sum{{ i }} = fma(F(f32(t[row{{ i }} * width + first + r])), weight, sum{{ i }});
//% endfor
        }
    }
//% for i in range(4)
    if (row + {{ i }}u <= last) { store(row{{ i }} * params.columns + column, sum{{ i }}); }
//% endfor
}
