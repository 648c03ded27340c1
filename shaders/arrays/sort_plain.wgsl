// Moves the keys of a radix sort to their places, one invocation a tile, key after key: the readable
// truth, and the version for software renderers.
//
// Memory: x and y are (row, n). Limits: 2^32 keys; a row of 65535 workgroups, then the next.
//% include "arrays/sort.wgsl"
//% include "arrays/sort_operands.wgsl"

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.x + id.y * (65535u * 64u);
    if (i >= params.count) { return; }
    let tile = i % params.tiles;
    let first = i - tile;
    let last = first + params.tiles - 1u;
    let row = i / params.tiles * params.n;
    var next = array<u32, DIGITS>();
    var smaller = row;
    for (var d = 0u; d < DIGITS; d++) {
        next[d] = smaller + before[i * DIGITS + d];
        smaller += before[last * DIGITS + d] + counts[last * DIGITS + d];
    }
    let begin = tile * {{ tile }}u;
    for (var k = begin; k < min(params.n, begin + {{ tile }}u); k++) {
        let key = key_from(x[row + k]);
        let d = digit_of(key);
        move_key(next[d], key);
//% if places
//% if first
        y_place[next[d]] = i32(k);
//% else
        y_place[next[d]] = place[row + k];
//% endif
//% endif
        next[d] += 1u;
    }
}
