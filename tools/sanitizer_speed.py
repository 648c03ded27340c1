"""Measure how many operations a second the sanitizer runs: the table of docs/sanitizer.md.

    python -m tools.sanitizer_speed

An operation is one operator, load or store of one invocation; each is checked.
"""

from __future__ import annotations

import time

import numpy as np

import gpucore
from gpucore import Device, f32

__all__ = ["main"]

HEAD = """
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
var<workgroup> tile: array<f32, 64>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(local_invocation_index) lane: u32) {
    let i = id.x;
"""
ROUNDS = 64
# Each kernel: its body, and the operations of one invocation in one round.
KERNELS = {
    "arithmetic in f32": ("v = v * 1.5 + 0.25;", 4),
    "integers": ("n = (n * 1664525 + 12345) & 65535;", 5),
    "branches": ("if (n % 2 == 0) { n += 3; } else { n -= 1; }", 5),
    "shared memory and barriers": (
        "workgroupBarrier(); tile[lane] = v; workgroupBarrier(); v += tile[63u - lane];",
        8,
    ),
    "reads of a buffer": ("v += x[(i + k * 64u) % arrayLength(&x)];", 7),
}


def text(body: str) -> str:
    """Return the kernel that repeats a body."""
    return (
        f"{HEAD}    var v = x[i];\n    var n = i32(i);\n"
        f"    for (var k = 0u; k < {ROUNDS}u; k++) {{ {body} }}\n    y[i] = v + f32(n);\n}}\n"
    )


def main() -> None:
    """Print a row for each kernel: operations a second with 64, 1024 and 65536 invocations."""
    device = Device.null()
    for name, (body, operations) in KERNELS.items():
        kernel = device.compile_kernel(text(body))
        cells = []
        for count in (64, 1024, 65536):
            x = device.buffer_from_array(np.ones(count, np.float32))
            y = device.buffer(f32, count)
            with gpucore.sanitize(raises=False):
                kernel(x, y, grid=count // 64)  # compiles it
                start = time.perf_counter()
                kernel(x, y, grid=count // 64)
                seconds = time.perf_counter() - start
            cells.append(f"{count * ROUNDS * operations / seconds / 1e6:.2g}")
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
