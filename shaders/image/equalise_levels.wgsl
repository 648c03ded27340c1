// New levels from a histogram of 256 bins, as Pillow's `ImageOps.equalize`: level i becomes the
// count of what is below, in steps of (all - those of the highest level) / 255, rounded.
//
// Memory: counts and levels (tables, 256). Limits: 65535 x 65535 tables; counts below 2^31.

@group(0) @binding(0) var<storage, read> counts: array<u32>;
@group(0) @binding(1) var<storage, read_write> levels: array<u32>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) level: u32,
) {
    let first = (group.x + group.y * 65535u) * 256u;
    if (first >= arrayLength(&levels)) { return; }
    var below = 0u;
    var all = 0u;
    var highest = 0u;
    for (var i = 0u; i < 256u; i++) {
        let n = counts[first + i];
        if (i < level) { below += n; }
        all += n;
        if (n > 0u) { highest = n; }
    }
    let step = (all - highest) / 255u;
    levels[first + level] = select(min((step / 2u + below) / max(step, 1u), 255u), level, step == 0u);
}
