"""Kernels from expressions, against NumPy and CuPy's: bytes only."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.entry import Entry
from gpucore import Device
from gpustd.arrays import ElementwiseKernel, ReductionKernel, ScanKernel
from tests.gpustd.reference import expression as oracle
from tests.gpustd.reference.expression import LARGE, SMALL, Case

__all__ = ["DECAY", "ENTRIES", "HYPOT", "NORM"]

HYPOT = ElementwiseKernel("x: f32, y: f32", "z: f32", "z = sqrt(x * x + y * y)", "hypot")
NORM = ReductionKernel(
    "x: f32", "y: f32", map="x * x", reduce="a + b", identity="0", finish="sqrt(a)", name="norm"
)
DECAY = ScanKernel(
    "x: f32",
    "y: f32",
    map="vec2(0.5, x)",
    combine="vec2(a.x * b.x, b.x * a.y + b.y)",
    identity="1, 0",
    finish="a.y",
    accumulator="vec2<f32>",
    name="decay",
)


def entry(
    name: str, case: Case, arrays: int, ours: Callable[..., object], numpy: Callable[..., Any]
) -> Entry:
    """Return the timing of a kernel that moves ``arrays`` arrays of the case."""
    cpu = case in SMALL

    @functools.cache
    def operand() -> NDArray[np.float32]:
        return np.random.default_rng(0).random(case.shape, np.float32)

    def setup(device: Device) -> Callable[[], object]:
        x = device.buffer_from_array(operand())
        return lambda: ours(x)

    axis = "" if case.axis is None else f" axis {case.axis}"
    return Entry(
        name=f"{name} kernel {'x'.join(map(str, case.shape))}{axis} f32",
        setup=setup,
        flops=0.0,
        bytes=4.0 * arrays * float(np.prod(case.shape)),
        numpy=(lambda: numpy(operand())) if cpu else None,
        cpu=cpu,
    )


def entries(case: Case) -> list[Entry]:
    """Return the timings of all three kernels."""
    axis = case.axis
    return [
        entry("hypot", case, 2, lambda x: HYPOT(x, x), lambda x: np.hypot(x, x)),
        entry("norm", case, 1, lambda x: NORM(x, axis=axis), lambda x: oracle.norm(x, axis)),
        entry("decay", case, 3, lambda x: DECAY(x, axis=axis), lambda x: oracle.decay(x, axis)),
    ]


ENTRIES = [each for case in (*SMALL, *LARGE) for each in entries(case)]
