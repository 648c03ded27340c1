// Sorts rows of up to {{ side }} keys, a workgroup a row, in workgroup memory (Batcher's bitonic sort, 1968): the
// place breaks ties, so that the order of equal keys stays.
//
// Workgroup memory: {{ 8 * side // 1024 or 1 }} KiB. Limits: 2^32 keys; a row of 65535 workgroups, then the next.
//% include "arrays/sort.wgsl"

@group(0) @binding(0) var<storage, read> x: array<{{ "u32" if source == "key" else source }}>;
//% if goal == "none"
@group(0) @binding(1) var<storage, read_write> y: array<i32>;
//% else
@group(0) @binding(1) var<storage, read_write> y: array<{{ "u32" if goal == "key" else goal }}>;
//% endif
@group(0) @binding(2) var<uniform> params: Params;

const SIDE = {{ side }}u;

var<workgroup> sorted_keys: array<u32, SIDE>;
var<workgroup> sorted_places: array<u32, SIDE>;

@compute @workgroup_size({{ side // 2 }})
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let i = group.x + group.y * 65535u;
    if (i >= params.count) { return; }
    let row = i * params.n;
    for (var k = t; k < SIDE; k += SIDE / 2u) {
        sorted_keys[k] = select(0xffffffffu, key_from(x[row + min(k, params.n - 1u)]), k < params.n);
        sorted_places[k] = k;
    }
    for (var size = 2u; size <= SIDE; size *= 2u) {
        for (var step = size / 2u; step > 0u; step /= 2u) {
            workgroupBarrier();
            let a = 2u * t - (t & (step - 1u));
            let b = a + step;
            let p = sorted_keys[a];
            let q = sorted_keys[b];
            let u = sorted_places[a];
            let v = sorted_places[b];
            let after = p > q || (p == q && u > v);
            if (after == ((a & size) == 0u)) {
                sorted_keys[a] = q;
                sorted_keys[b] = p;
                sorted_places[a] = v;
                sorted_places[b] = u;
            }
        }
    }
    workgroupBarrier();
    for (var k = t; k < params.n; k += SIDE / 2u) {
//% if goal == "none"
        y[row + k] = i32(sorted_places[k]);
//% elif goal == "key"
        y[row + k] = sorted_keys[k];
//% else
        y[row + k] = number_from(sorted_keys[k]);
//% endif
    }
}
