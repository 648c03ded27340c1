// The narrow half of a low-rank update on matrix units: 32 rows of an image by {{ columns }} ranks a workgroup.
//
// Each of {{ teams }} team(s), a subgroup of 32, multiplies a part of K right from memory: few ranks are
// no tile worth staging, and many small parts keep enough loads under way. Their sums meet in workgroup
// memory, and are added in order. Images that choose none are left as they are.
//
// Layout: x (images, rows, K) and down (slots, K, ranks) in words of eight f16; chosen has the slot of
// each image, or NONE; t (images, rows, ranks) in pairs of f16. Grid: blocks of rows, of ranks, images.
// Workgroup memory: {{ teams * 16 * (part + 8) * 4 }} bytes.
// Limits: f16, subgroups of 32, at least 32 rows, K and ranks multiples of 16.
//% include "matmul/low_rank/matrix_head.wgsl"

struct Params { rows: u32, ranks: u32 }

@group(0) @binding(0) var<storage, read> x: array<f16x8>;
@group(0) @binding(1) var<storage, read> down: array<f16x8>;
@group(0) @binding(2) var<storage, read> chosen: array<u32>;
@group(0) @binding(3) var<storage, read_write> t: array<f16x2>;
@group(0) @binding(4) var<uniform> params: Params;

const K8 = {{ k // 8 }}u;
const STEPS = {{ k // 16 // teams }}u;
const PITCH = {{ (part + 8) // 4 }}u;
const TEAM = {{ 16 * (part + 8) // 4 }}u;

var<workgroup> sums: array<vec4<f32>, {{ teams * 16 * (part + 8) // 4 }}>;

@compute @workgroup_size({{ 32 * teams }})
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
    @builtin(subgroup_id) team: u32,
) {
    let slot = chosen[group.z];
    if (slot == NONE) { return; }
    let row = group.z * params.rows + first_row(group.x, params.rows);
    let ranks8 = params.ranks / 8u;
    let first = group.y * {{ columns // 8 }}u;
    let from_x = row * K8;
    let from_down = slot * K8 * 8u * ranks8 + first;
//% for i in range(2)
//% for j in range(columns // 16)
    var c{{ i }}_{{ j }}: subgroup_matrix_result<f32, 16, 16>;
//% endfor
//% endfor
    for (var turn = 0u; turn < STEPS; turn += {{ turns }}u) {
        let step = team * STEPS + turn;
//% for u in range(turns)
//% for i in range(2)
        let a{{ u }}_{{ i }} = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&x, from_x + {{ 16 * i }}u * K8 + (step + {{ u }}u) * 2u, K8);
//% endfor
//% for j in range(columns // 16)
        let b{{ u }}_{{ j }} = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&down, from_down + (step + {{ u }}u) * 16u * ranks8 + {{ 2 * j }}u, ranks8);
//% endfor
//% endfor
//% for u in range(turns)
//% for i in range(2)
//% for j in range(columns // 16)
        c{{ i }}_{{ j }} = subgroupMatrixMultiplyAccumulate(a{{ u }}_{{ i }}, b{{ u }}_{{ j }}, c{{ i }}_{{ j }});
//% endfor
//% endfor
//% endfor
    }
//% for i in range(2)
//% for p in range(columns // part)
    workgroupBarrier();
//% for j in range(part // 16)
    subgroupMatrixStore<row_major>(&sums, team * TEAM + {{ 4 * j }}u, c{{ i }}_{{ p * part // 16 + j }}, PITCH);
//% endfor
    workgroupBarrier();
    for (var e = invocation; e < {{ 16 * part // 4 }}u; e += {{ 32 * teams }}u) {
        let line = e / {{ part // 4 }}u;
        let word = e % {{ part // 4 }}u;
        var sum = sums[line * PITCH + word];
//% for other in range(1, teams)
        sum += sums[{{ other }}u * TEAM + line * PITCH + word];
//% endfor
        let to = ((row + {{ 16 * i }}u + line) * params.ranks + first * 8u + {{ p * part }}u) / 2u + word * 2u;
        t[to] = pack2x16float(sum.xy);
        t[to + 1u] = pack2x16float(sum.zw);
    }
//% endfor
//% endfor
}
