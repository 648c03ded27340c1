// The permutation that a row of pivots makes: start with 0, 1, 2 ..., then exchange k with pivots[k] in turn.
// One invocation of a workgroup does so, in workgroup memory while {{ most }} entries hold it, else in place.
//
// Memory: pivots and permutation (batch, n). Workgroup memory: 4 bytes an entry. Limits: n below 2^31.

const THREADS = {{ threads }}u;
const MOST = {{ most }}u;

struct Params {
    batch: u32,
    n: u32,
}

@group(0) @binding(0) var<storage, read> pivots: array<i32>;
@group(0) @binding(1) var<storage, read_write> permutation: array<i32>;
@group(0) @binding(2) var<uniform> params: Params;

//% if held
var<workgroup> order: array<i32, MOST>;

//% endif
@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let index = group.x + group.y * 65535u;
    if (index >= params.batch) { return; }
    let first = index * params.n;
//% set entry = "order[%s]" if held else "permutation[first + %s]"
    for (var i = t; i < params.n; i += THREADS) { {{ entry % "i" }} = i32(i); }
//% if held
    workgroupBarrier();
//% else
    storageBarrier();
//% endif
    if (t == 0u) {
        for (var k = 0u; k < params.n; k++) {
            let p = u32(pivots[first + k]);
            let v = {{ entry % "k" }};
            {{ entry % "k" }} = {{ entry % "p" }};
            {{ entry % "p" }} = v;
        }
    }
//% if held
    workgroupBarrier();
    for (var i = t; i < params.n; i += THREADS) { permutation[first + i] = order[i]; }
//% endif
}
