"""Forms above kernels in Python beside gpustd's own operations: bytes only, share of copies."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from bench.entry import Entry
from gpucore import Array, Array2, Buffer, Device, f32, gpu_kernel, stencil
from gpustd import arrays
from gpustd.forms import gpu_reduce, gpu_scan

__all__ = ["ENTRIES"]

SMALL = ((1 << 16,), (256, 256))
LARGE = ((1 << 27,), (8192, 16384))


@gpu_kernel
def mix(x: Array[f32], y: Array[f32]) -> Array[f32]:
    """Return twice x and y."""
    return 2 * x + y


@gpu_reduce(identity=0.0)
def total(a: f32, b: f32) -> f32:
    """Add."""
    return a + b


@gpu_scan(identity=0.0)
def running(a: f32, b: f32) -> f32:
    """Add."""
    return a + b


@stencil()
def five(x: Array2[f32]) -> f32:
    """Return the Laplacian of an image."""
    return x[-1, 0] + x[1, 0] + x[0, -1] + x[0, 1] - 4 * x[0, 0]


def entry(
    name: str, shape: tuple[int, ...], moved: int, ours: Callable[[Buffer[f32]], object]
) -> Entry:
    """Return the timing of a form that moves ``moved`` arrays of the shape."""

    def setup(device: Device) -> Callable[[], object]:
        x = device.buffer_from_array(np.random.default_rng(0).random(shape, np.float32))
        return lambda: ours(x)

    return Entry(
        name=f"{name} {'x'.join(map(str, shape))} f32",
        setup=setup,
        flops=0.0,
        bytes=4.0 * moved * float(np.prod(shape)),
        cpu=shape in SMALL,
    )


def entries(shape: tuple[int, ...]) -> list[Entry]:
    """Return the timings of each form, and of what gpustd has for the same."""
    last = len(shape) - 1
    found = [
        entry("elementwise in Python", shape, 2, lambda x: mix(x, x)),
        entry("gpustd.add", shape, 2, lambda x: arrays.add(x, x)),
    ]
    for axis in range(len(shape)):
        found += [
            entry(f"gpu_reduce axis {axis}", shape, 1, partial(total, axis=axis)),
            entry(f"gpustd.sum axis {axis}", shape, 1, partial(arrays.sum, axis=axis)),
            entry(f"gpu_scan axis {axis}", shape, 2, partial(running, axis=axis)),
            entry(f"gpustd.cumsum axis {axis}", shape, 2, partial(arrays.cumsum, axis=axis)),
        ]
    if last:
        found.append(entry("stencil of five", shape, 2, five))
    return found


ENTRIES = [each for shape in (*SMALL, *LARGE) for each in entries(shape)]
