// V^T C of a block reflector, or of one panel with itself: at most 32 rows of results from sums over many
// rows, cut into parts.
//
// A workgroup makes 32 x 128 results of one part of the rows, 16 rows of V and C at a time in workgroup
// memory; an invocation has 8 x 4 of them. 32 neighbours share what they read of V.
//
// Memory: row i of matrix z of v (m by width) and c (m by n) begins at first + i pitch + z batch; parts
// (batch, splits, width, n). Workgroup memory: 10 KiB.
// Limits: f32; 2^32 elements; width of 1 to 32.
struct Params {
    m: u32, n: u32, width: u32, splits: u32, batch: u32,
    v_first: u32, v_pitch: u32, v_batch: u32,
    c_first: u32, c_pitch: u32, c_batch: u32,
}

@group(0) @binding(0) var<storage, read> v: array<f32>;
@group(0) @binding(1) var<storage, read> c: array<f32>;
@group(0) @binding(2) var<storage, read_write> parts: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

const SIDE = 32u;
const COLUMNS = 128u;
const SLICE = 16u;
const THREADS = 128u;

var<workgroup> v_tile: array<vec4<f32>, SLICE * SIDE / 4u>;
var<workgroup> c_tile: array<vec4<f32>, SLICE * COLUMNS / 4u>;

const QUAD = vec4<u32>(0u, 1u, 2u, 3u);

fn four_of_v(at: u32, k: u32, inside: bool) -> vec4<f32> {
    let from_k = min(QUAD + k, vec4<u32>(params.width - 1u)) + at;
    let four = vec4<f32>(v[from_k.x], v[from_k.y], v[from_k.z], v[from_k.w]);
    return select(vec4<f32>(), four, vec4<bool>(inside));
}

fn four_of_c(at: u32, j: u32, inside: bool) -> vec4<f32> {
    let from_j = min(QUAD + j, vec4<u32>(params.n - 1u)) + at;
    let four = vec4<f32>(c[from_j.x], c[from_j.y], c[from_j.z], c[from_j.w]);
    return select(vec4<f32>(), four, vec4<bool>(inside));
}

// Of a slice from row l0 on: four numbers of V, or of C, as they lie in workgroup memory.
fn slice_of_v(v0: u32, l0: u32, end: u32, e: u32) -> vec4<f32> {
    let l = l0 + e / 8u;
    return four_of_v(v0 + min(l, params.m - 1u) * params.v_pitch, e % 8u * 4u, l < end);
}

fn slice_of_c(c0: u32, l0: u32, end: u32, j0: u32, e: u32) -> vec4<f32> {
    let l = l0 + e / 32u;
    return four_of_c(c0 + min(l, params.m - 1u) * params.c_pitch, j0 + e % 32u * 4u, l < end);
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let n = params.n;
    let m = params.m;
    let blocks = (n + COLUMNS - 1u) / COLUMNS;
    let index = group.x + group.y * 65535u;
    if (index >= blocks * params.splits * params.batch) { return; }
    let j0 = index % blocks * COLUMNS;
    let part = index / blocks % params.splits;
    let z = index / blocks / params.splits;
    let chunk = (m + params.splits * SLICE - 1u) / (params.splits * SLICE) * SLICE;
    let end = min((part + 1u) * chunk, m);
    let v0 = params.v_first + z * params.v_batch;
    let c0 = params.c_first + z * params.c_batch;
    let group_of_eight = t / 32u;
    let quad = t % 32u;
    var sums: array<vec4<f32>, 8>;
    for (var e = 0u; e < 8u; e++) { sums[e] = vec4<f32>(); }
    // The next slice is on its way while one is used.
    var l0 = part * chunk;
    var next_v = slice_of_v(v0, l0, end, t);
//% for e in range(4)
    var next_c{{ e }} = slice_of_c(c0, l0, end, j0, t + {{ e }}u * THREADS);
//% endfor
    while (l0 < end) {
        v_tile[t] = next_v;
//% for e in range(4)
        c_tile[t + {{ e }}u * THREADS] = next_c{{ e }};
//% endfor
        l0 += SLICE;
        next_v = slice_of_v(v0, l0, end, t);
//% for e in range(4)
        next_c{{ e }} = slice_of_c(c0, l0, end, j0, t + {{ e }}u * THREADS);
//% endfor
        workgroupBarrier();
        for (var l = 0u; l < SLICE; l++) {
            let low = v_tile[l * 8u + group_of_eight * 2u];
            let high = v_tile[l * 8u + group_of_eight * 2u + 1u];
            let right = c_tile[l * 32u + quad];
//% for e in range(4)
            sums[{{ e }}] += low[{{ e }}] * right;
            sums[{{ e + 4 }}] += high[{{ e }}] * right;
//% endfor
        }
        workgroupBarrier();
    }
    let y0 = (z * params.splits + part) * params.width * n;
    for (var e = 0u; e < 8u; e++) {
        let k = group_of_eight * 8u + e;
        if (k < params.width) {
            for (var f = 0u; f < 4u; f++) {
                let j = j0 + quad * 4u + f;
                if (j < n) { parts[y0 + k * n + j] = sums[e][f]; }
            }
        }
    }
}
