// Second half of a product split over K: adds the splits' partial sums up, in order, then the epilogue.
// Four columns an invocation.
//
// Memory: partials is (splits, rows, pitch) in words of 4 columns, `plane` words a split; its rows and
// columns are padded to whole tiles of the first half. GEGLU's gates stand N columns after its values.
// Limits: N a multiple of 4.
//% set sums = "f32"
//% include "matmul/gemm/operands.wgsl"

fn sum(at: u32) -> vec4<f32> {
    var total = partials[at];
    for (var s = 1u; s < params.splits; s++) {
        total += partials[at + s * params.plane];
    }
    return total;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let n4 = params.n / 4u;
    let index = id.x + id.y * (65535u * 64u);
    let m = index / n4;
    let n = index % n4;
    if (m >= params.m) { return; }
    let at = m * params.pitch + n;
//% if activation == "geglu"
    let opened = activate(biased(sum(at + n4), m, n + n4, 2u * n4));
    store(biased(sum(at), m, n, 2u * n4) * opened, m, n, n4);
//% else
    store(activate(biased(sum(at), m, n, n4)), m, n, n4);
//% endif
}
