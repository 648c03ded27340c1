"""Write a kernel of your own: a histogram with uniforms, overrides, workgroup memory and atomics.

Each workgroup counts in its own fast memory, then adds its counts to the result. So there is one
slow atomic addition for each bin and workgroup, instead of one for each value.
"""

import numpy as np

from gpucore import Device
from gpucore.testing import random_array

BINS = 64
VALUES_EACH = 32  # values that one invocation counts

HISTOGRAM = """
struct Sizes { count: u32, low: f32, width: f32 }
override BINS: u32;
override EACH: u32;
@group(0) @binding(0) var<storage, read> values: array<f32>;
@group(0) @binding(1) var<storage, read_write> counts: array<atomic<u32>>;
@group(0) @binding(2) var<uniform> p: Sizes;
var<workgroup> mine: array<atomic<u32>, BINS>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    if (lane < BINS) { atomicStore(&mine[lane], 0u); }  // workgroup memory holds anything at first
    workgroupBarrier();
    for (var i = 0u; i < EACH; i++) {
        let at = (group.x * EACH + i) * 64u + lane;
        if (at < p.count) {
            let bin = i32(floor((values[at] - p.low) / p.width));
            if (bin >= 0 && bin < i32(BINS)) { atomicAdd(&mine[bin], 1u); }
        }
    }
    workgroupBarrier();
    if (lane < BINS) { atomicAdd(&counts[lane], atomicLoad(&mine[lane])); }
}
"""


def main(count: int = 300_001) -> None:
    """Count normal numbers between -4 and 4, and compare with NumPy."""
    device = Device.auto()
    x = random_array(count)
    values = device.buffer_from_array(x)
    counts = device.buffer_from_array(np.zeros(BINS, np.uint32))
    histogram = device.compile_kernel(HISTOGRAM, constants={"BINS": BINS, "EACH": VALUES_EACH})
    sizes = {"count": count, "low": -4.0, "width": 8 / BINS}
    histogram(values, counts, sizes, grid=-(-count // (64 * VALUES_EACH)))

    expected, edges = np.histogram(x, BINS, (-4, 4))
    assert np.array_equal(counts.read(), expected)
    bins = counts.read().reshape(16, -1).sum(1)
    for start, n in zip(edges[::4], bins, strict=False):
        print(f"{start:5.1f} {'#' * int(60 * n / bins.max())}")
    print(f"{counts.read().sum()} of {count} values counted, as NumPy counts them")


if __name__ == "__main__":
    main()
