"""Add two vectors on the GPU: the smallest whole program.

A kernel is a WGSL compute shader. A buffer is typed and shaped. Calling the kernel checks the
arguments against the shader's own declarations and records a launch; reading runs it.
"""

import numpy as np

from gpucore import Device, f32

ADD = """
@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> sum: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    if (id.x < arrayLength(&sum)) {
        sum[id.x] = a[id.x] + b[id.x];
    }
}
"""


def main() -> None:
    """Add a million numbers and compare with NumPy."""
    device = Device.auto()
    x, y = np.random.default_rng(0).standard_normal((2, 1_000_000), dtype=np.float32)

    add = device.compile_kernel(ADD)
    a, b = device.buffer_from_array(x), device.buffer_from_array(y)
    total = device.buffer(f32, x.shape)
    add(a, b, total, grid=-(-x.size // 64))

    assert np.array_equal(total.read(), x + y)
    print(f"{x.size} sums on {device.name} ({device.info.backend}), equal to NumPy's")


if __name__ == "__main__":
    main()
