"""The variant ``narrow``, for few columns: several invocations share a row's sum."""

from __future__ import annotations

from gpucore.integers import ceil_div
from gpustd.launch.elements import widest_word
from gpustd.launch.grid import flat_grid
from gpustd.launch.template import Value, constants
from gpustd.matmul.kernel_spec import epilogue_spec, fixed_spec, matmul_params
from gpustd.matmul.operation import Matmul, Operands
from gpustd.matmul.variants.launches import Launch

__all__ = ["plan_narrow"]

_WORKGROUP = 128


def plan_narrow(matmul: Matmul, operands: Operands) -> list[Launch]:
    """Plan one launch, which reads x in words of 16 bytes where channels fill such words."""
    y, epilogue = operands.y, operands.epilogue
    unit = widest_word(operands.x.dtype.itemsize)
    if any(c % unit for c in matmul.channels):
        unit = 1
    words = matmul.k // unit
    lanes = 32 if words >= 256 else 16 if words >= 64 else 8
    spec: dict[str, Value] = {
        **fixed_spec(matmul, operands.scalar, y, vector=False),
        **epilogue_spec(matmul, epilogue),
        "two": operands.second is not None,
        "holes": matmul.has_window,
        "unit": unit,
        "lanes": lanes,
        "columns": matmul.columns,
        "sizes": constants(matmul_params(matmul, epilogue, 1)),
    }
    rows = 4 * (_WORKGROUP // lanes)
    buffers = [*operands.factors, *epilogue.buffers, y]
    grid = flat_grid(ceil_div(matmul.m, rows), 1)
    return [Launch("matmul/gemm/narrow.wgsl", spec, buffers, grid, matmul.work(buffers))]
