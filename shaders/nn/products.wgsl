// Products of many small matrices, y = scale a b for each batch and head, summed in f32: rows, columns
// and K of each operand lie at pitches of their own, so that heads need not be moved.
// Memory: element (m, k) of a lies at batch a_batch + head a_head + m a_m + k a_k; b has a head for
// each `share` of them. Limits: 2^32 elements; 65535 batches times heads.
//
//% if tiled
// A workgroup makes 64 x 64 results, 4 x 4 an invocation, from slices of 16 in workgroup memory (8.5 KiB).
//% else
// One result an invocation: the readable truth, for software renderers.
//% endif
//% if "f16" in (left, right, out)
enable f16;
//% endif

struct Params {
    m: u32, n: u32, k: u32, heads: u32, share: u32, scale: f32,
    a_batch: u32, a_head: u32, a_m: u32, a_k: u32,
    b_batch: u32, b_head: u32, b_k: u32, b_n: u32,
    y_batch: u32, y_head: u32, y_m: u32,
}

@group(0) @binding(0) var<storage, read> a: array<{{ left }}>;
@group(0) @binding(1) var<storage, read> b: array<{{ right }}>;
@group(0) @binding(2) var<storage, read_write> y: array<{{ out }}>;
@group(0) @binding(3) var<uniform> params: Params;

//% if tiled
var<workgroup> a_tile: array<f32, {{ 16 * 65 }}>;
var<workgroup> b_tile: array<f32, {{ 16 * 65 }}>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let across = (params.n + 63u) / 64u;
    let m0 = group.x / across * 64u;
    let n0 = group.x % across * 64u;
    let batch = group.y / params.heads;
    let head = group.y % params.heads;
    let a0 = batch * params.a_batch + head * params.a_head;
    let b0 = batch * params.b_batch + head / params.share * params.b_head;
    let row = t / 16u;
    let column = t % 16u;
//% for i in range(4)
//% for j in range(4)
    var c{{ i }}{{ j }} = 0.0;
//% endfor
//% endfor
    for (var k0 = 0u; k0 < params.k; k0 += 16u) {
        workgroupBarrier();
        for (var e = t; e < 1024u; e += 256u) {
            // Neighbours read along K where that is how the operand lies.
            let ak = e % 16u;
            let am = e / 16u;
            let a_in = m0 + am < params.m && k0 + ak < params.k;
            let a_at = a0 + (m0 + am) * params.a_m + (k0 + ak) * params.a_k;
            a_tile[ak * 65u + am] = select(0.0, f32(a[select(0u, a_at, a_in)]), a_in);
            let along = params.b_n != 1u;
            let bk = select(e / 64u, e % 16u, along);
            let bn = select(e % 64u, e / 16u, along);
            let b_in = n0 + bn < params.n && k0 + bk < params.k;
            let b_at = b0 + (k0 + bk) * params.b_k + (n0 + bn) * params.b_n;
            b_tile[bk * 65u + bn] = select(0.0, f32(b[select(0u, b_at, b_in)]), b_in);
        }
        workgroupBarrier();
        for (var k = 0u; k < 16u; k++) {
//% for i in range(4)
            let a{{ i }} = a_tile[k * 65u + row + {{ 16 * i }}u];
            let b{{ i }} = b_tile[k * 65u + column + {{ 16 * i }}u];
//% endfor
//% for i in range(4)
//% for j in range(4)
            c{{ i }}{{ j }} = fma(a{{ i }}, b{{ j }}, c{{ i }}{{ j }});
//% endfor
//% endfor
        }
    }
    let y0 = batch * params.y_batch + head * params.y_head;
//% for i in range(4)
//% for j in range(4)
    if (m0 + row + {{ 16 * i }}u < params.m && n0 + column + {{ 16 * j }}u < params.n) {
        y[y0 + (m0 + row + {{ 16 * i }}u) * params.y_m + n0 + column + {{ 16 * j }}u] = {{ out }}(c{{ i }}{{ j }} * params.scale);
    }
//% endfor
//% endfor
}
//% else
@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let index = group.x * 64u + t;
    let m = index / params.n;
    let n = index - m * params.n;
    if (m >= params.m) { return; }
    let batch = group.y / params.heads;
    let head = group.y % params.heads;
    var i = batch * params.a_batch + head * params.a_head + m * params.a_m;
    var j = batch * params.b_batch + head / params.share * params.b_head + n * params.b_n;
    var sum = 0.0;
    for (var k = 0u; k < params.k; k++) {
        sum = fma(f32(a[i]), f32(b[j]), sum);
        i += params.a_k;
        j += params.b_k;
    }
    y[batch * params.y_batch + head * params.y_head + m * params.y_m + n] = {{ out }}(sum * params.scale);
}
//% endif
