"""Overlap the host's work with the device's: streams, events, and asynchronous reads.

Streams keep the lists of several tasks apart, and events tell when a part of the work is done. CUDA
may run streams that share no memory at the same time. WebGPU runs one list after the other.
"""

import asyncio

import numpy as np
from numpy.typing import NDArray

from gpucore import Device, f32

SMOOTH = """
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let n = arrayLength(&x);
    if (id.x >= n) { return; }
    y[id.x] = (x[max(id.x, 1u) - 1u] + x[id.x] + x[min(id.x + 1u, n - 1u)]) / 3.0;
}
"""


def smooth_on_host(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute with NumPy what the kernel computes."""
    wide = np.pad(x, 1, mode="edge")
    return (wide[:-2] + wide[1:-1] + wide[2:]) / np.float32(3)


async def main(parts: int = 4, count: int = 50_000) -> None:
    """Smooth several parts, each on its own stream, while the host prepares the next."""
    device = Device.auto()
    smooth = await device.compile_kernel(SMOOTH, wait=False)  # other tasks run meanwhile
    rng = np.random.default_rng(0)
    waiting = []
    for i in range(parts):
        x = rng.standard_normal(count, np.float32)  # the device is busy with the part before
        with device.new_stream(f"part {i}"):
            a, b = device.buffer_from_array(x), device.buffer(f32, count)
            smooth(a, b, grid=-(-count // 64))
            smooth(b, a, grid=-(-count // 64))
            done = device.new_event().record()  # submits the stream and does not wait
        waiting.append((x, a, done))
    for i, (x, a, done) in enumerate(waiting):
        await done
        result = await a.read_async()
        assert np.allclose(result, smooth_on_host(smooth_on_host(x)), atol=1e-6)
        print(f"part {i}: {count} values smoothed twice, equal to NumPy's")


if __name__ == "__main__":
    asyncio.run(main())
