// Exclusive sums over the tiles of a row for each digit of a radix sort, one workgroup for four digits
// of a row: a lane sums neighbouring tiles, the lanes' sums are scanned in workgroup memory.
//
// Memory: counts and before are (row, tile, digit / 4) of vec4. Workgroup memory: 8 KiB.
// Limits: 65535 rows times digits / 4 in a dimension, then the next.
struct Params { tiles: u32, words: u32, count: u32 }

@group(0) @binding(0) var<storage, read> counts: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read_write> before: array<vec4<u32>>;
@group(0) @binding(2) var<uniform> params: Params;

const LANES = 256u;

var<workgroup> sums: array<vec4<u32>, 2u * LANES>;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = group.x + group.y * 65535u;
    if (i >= params.count) { return; }
    let row = i / params.words;
    let start = row * params.tiles * params.words + i - row * params.words;
    let each = (params.tiles + LANES - 1u) / LANES;
    let begin = min(lane * each, params.tiles);
    let end = min(begin + each, params.tiles);
    var sum = vec4<u32>();
    for (var t = begin; t < end; t++) { sum += counts[start + t * params.words]; }
    sums[lane] = sum;
    var side = 0u;
    for (var step = 1u; step < LANES; step *= 2u) {
        workgroupBarrier();
        var s = sums[side + lane];
        if (lane >= step) { s += sums[side + lane - step]; }
        side = LANES - side;
        sums[side + lane] = s;
    }
    workgroupBarrier();
    var next = sums[side + lane] - sum;
    for (var t = begin; t < end; t++) {
        before[start + t * params.words] = next;
        next += counts[start + t * params.words];
    }
}
