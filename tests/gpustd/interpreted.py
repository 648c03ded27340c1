"""Kernels run in the interpreter, on arrays of the host."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpucore import SanitizerError
from gpucore.interpreter import Bound, Findings, Program

__all__ = ["run_kernel"]


def run_kernel(source: str, arrays: Sequence[NDArray[Any]], grid: Sequence[int]) -> None:
    """Run ``main`` over a grid of workgroups, with subgroups of 32.

    ``arrays`` are those of the bindings, contiguous; each number of those that the kernel may write
    must be written. Raises `SanitizerError`, and `AssertionError` for a number that is not written.
    """
    program, findings = Program(source, "main", {}), Findings("main", source)
    buffers = {
        binding.name: Bound(
            array.reshape(-1).view(np.uint8),
            np.zeros(array.nbytes, bool) if binding.access == "read_write" else None,
        )
        for binding, array in zip(program.bindings, arrays, strict=True)
    }
    x, y, z = (*grid, 1, 1)[:3]
    program.run(buffers, (x, y, z), findings)
    if findings.found:
        raise SanitizerError(list(findings.found.values()))
    for name, buffer in buffers.items():
        assert buffer.written is None or buffer.written.all(), f"{name} is never written somewhere"
