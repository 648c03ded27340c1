// New levels from a histogram of 256 bins, as Pillow's `ImageOps.equalize`: level i becomes the
// count of what is below, in steps of (all - those of the highest level) / 255, rounded.
//
// Counts are added up in workgroup memory, over distances that double.
// Memory: counts and levels (tables, 256). Workgroup memory: 2 KiB.
// Limits: 65535 x 65535 tables; counts below 2^31.

@group(0) @binding(0) var<storage, read> counts: array<u32>;
@group(0) @binding(1) var<storage, read_write> levels: array<u32>;

var<workgroup> sums: array<u32, 512>;
var<workgroup> top: atomic<u32>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) level: u32,
) {
    let first = (group.x + group.y * 65535u) * 256u;
    let inside = first < arrayLength(&levels);
    let own = select(0u, counts[min(first, arrayLength(&levels) - 256u) + level], inside);
    if (level == 0u) { atomicStore(&top, 0u); }
    sums[level] = own;
    workgroupBarrier();
    if (own > 0u) { atomicMax(&top, level); }
//% for n in range(8)
//% set here, there = 256 * (n % 2), 256 - 256 * (n % 2)
    {
        var sum = sums[{{ here }}u + level];
        if (level >= {{ 2 ** n }}u) { sum += sums[{{ here }}u + level - {{ 2 ** n }}u]; }
        sums[{{ there }}u + level] = sum;
    }
    workgroupBarrier();
//% endfor
    if (!inside) { return; }
    let all = sums[255u];
    let below = sums[level] - own;
    let highest = counts[first + atomicLoad(&top)];
    let step = (all - highest) / 255u;
    levels[first + level] = select(min((step / 2u + below) / max(step, 1u), 255u), level, step == 0u);
}
