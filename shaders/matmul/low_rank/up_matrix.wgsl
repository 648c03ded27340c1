// The wide half of a low-rank update on matrix units: a subgroup makes 32 rows of an image by 64 columns.
//
// Operands come right from memory: an update has few ranks, so that what counts is that results leave in
// whole lines. They do so through workgroup memory, 16 rows at a time, with the residual added.
//
// Layout: t (images, rows, groups * ranks), up (slots, ranks, columns), residual and y (images, rows,
// columns) in words of eight f16. Columns of a group read the ranks of that group. chosen has the slot
// of each image, or NONE: then results are the residual, or -0. Grid: blocks of rows, of columns, images.
// Where there are counts, results that are infinite or NaN are added to the first, but for images of NONE.
// Workgroup memory: 18432 bytes.
// Limits: f16, subgroups of 32, at least 32 rows; ranks multiples of 16, columns of a group multiples
// of 8 and at least 64.
//% include "matmul/low_rank/matrix_head.wgsl"

// columns8: words of a group's columns; blocks: of a group, the last one goes back to where it is whole.
struct Params { rows: u32, ranks: u32, groups: u32, columns8: u32, blocks: u32, first: u32, first_up: u32 }

@group(0) @binding(0) var<storage, read> t: array<f16x8>;
@group(0) @binding(1) var<storage, read> up: array<f16x8>;
@group(0) @binding(2) var<storage, read> chosen: array<u32>;
//% if residual
@group(0) @binding(3) var<storage, read> residual: array<f16x8>;
//% endif
//% if counts
@group(0) @binding(4) var<storage, read_write> counts: array<atomic<u32>>;
//% endif
@group(0) @binding(5) var<storage, read_write> y: array<f16x8>;
@group(0) @binding(6) var<uniform> params: Params;

const PITCH = 18u;
const OWN = 16u * PITCH;

var<workgroup> sums: array<vec4<f32>, 1152>;

fn packed(low: vec4<f32>, high: vec4<f32>) -> f16x8 {
    return f16x8(pack2x16float(low.xy), pack2x16float(low.zw), pack2x16float(high.xy), pack2x16float(high.zw));
}

@compute @workgroup_size(128)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    let slot = chosen[group.z];
    let row = group.z * params.rows + first_row(group.x, params.rows);
    // Subgroups past the last block make that one again.
    let block = min(group.y * 4u + subgroup, params.groups * params.blocks - 1u);
    let part = block / params.blocks;
    let pitch = params.groups * params.columns8;
    let column = part * params.columns8 + min(block % params.blocks * 8u, params.columns8 - 8u);
    let at = row * pitch + column + lane / 8u * pitch + lane % 8u;
    if (slot == NONE) {
        for (var i = 0u; i < 8u; i++) {
//% if residual
            y[at + 4u * i * pitch] = residual[at + 4u * i * pitch];
//% else
            y[at + 4u * i * pitch] = f16x8(0x80008000u);
//% endif
        }
        return;
    }
//% if counts
    var found = 0u;
    let is_own = group.y * 4u + subgroup == block && column + lane % 8u >= part * params.columns8 + block % params.blocks * 8u;
//% endif
    let width = params.groups * params.ranks / 8u;
    let from_t = params.first + row * width + part * params.ranks / 8u;
    let from_up = params.first_up + slot * params.ranks * pitch + column;
//% for i in range(2)
//% for j in range(4)
    var c{{ i }}_{{ j }}: subgroup_matrix_result<f32, 16, 16>;
//% endfor
//% endfor
    for (var step = 0u; step < params.ranks / 16u; step++) {
//% for i in range(2)
        let a{{ i }} = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&t, from_t + {{ 16 * i }}u * width + step * 2u, width);
//% endfor
//% for j in range(4)
        let b{{ j }} = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&up, from_up + step * 16u * pitch + {{ 2 * j }}u, pitch);
//% for i in range(2)
        c{{ i }}_{{ j }} = subgroupMatrixMultiplyAccumulate(a{{ i }}, b{{ j }}, c{{ i }}_{{ j }});
//% endfor
//% endfor
    }
//% for i in range(2)
    workgroupBarrier();
//% for j in range(4)
    subgroupMatrixStore<row_major>(&sums, subgroup * OWN + {{ 4 * j }}u, c{{ i }}_{{ j }}, PITCH);
//% endfor
    workgroupBarrier();
    for (var line = 0u; line < 4u; line++) {
        let source = subgroup * OWN + (lane / 8u + line * 4u) * PITCH + lane % 8u * 2u;
        let to = at + ({{ 16 * i }}u + line * 4u) * pitch;
//% if residual
        let more = residual[to];
        let low = vec4<f32>(unpack2x16float(more.x), unpack2x16float(more.y));
        let high = vec4<f32>(unpack2x16float(more.z), unpack2x16float(more.w));
        let made = packed(low + sums[source], high + sums[source + 1u]);
//% else
        let made = packed(sums[source], sums[source + 1u]);
//% endif
        y[to] = made;
//% if counts
        // Results that two blocks make count once.
        if (is_own && row + {{ 16 * i }}u + lane / 8u + line * 4u >= group.z * params.rows + group.x * 32u) {
            for (var k = 0u; k < 4u; k++) {
                if ((made[k] & 0x7c00u) == 0x7c00u) { found += 1u; }
                if ((made[k] & 0x7c000000u) == 0x7c000000u) { found += 1u; }
            }
        }
//% endif
    }
//% endfor
//% if counts
    if (found > 0u) { atomicAdd(&counts[0], found); }
//% endif
}
