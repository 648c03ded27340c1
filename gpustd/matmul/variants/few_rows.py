"""The variant ``few``, for few rows: weights are read as fast as memory gives them."""

from __future__ import annotations

from gpucore.integers import ceil_div
from gpustd.launch.elements import widest_word
from gpustd.launch.grid import flat_grid
from gpustd.launch.template import Value, constants
from gpustd.matmul.kernel_spec import epilogue_spec, fixed_spec, matmul_params
from gpustd.matmul.operation import Matmul, Operands
from gpustd.matmul.variants.launches import Launch

__all__ = ["plan_few"]

_MOST_ROWS_AT_ONCE = 8
# From so many words in a row of weights on, lanes stand side by side along whole cache lines. With
# fewer words there would be too few workgroups.
_WORDS_FOR_WHOLE_LINES = 1024


def plan_few(matmul: Matmul, operands: Operands) -> list[Launch]:
    """Plan up to 8 rows at once, in words of 16 bytes. The number of rows changes no bits."""
    y, epilogue = operands.y, operands.epilogue
    unit = widest_word(operands.x.dtype.itemsize)
    words = matmul.n // unit
    across = 8 if words >= _WORDS_FOR_WHOLE_LINES else 2
    rows = min(1 << (matmul.m - 1).bit_length(), _MOST_ROWS_AT_ONCE)
    spec: dict[str, Value] = {
        **fixed_spec(matmul, operands.scalar, y, vector=False),
        **epilogue_spec(matmul, epilogue),
        **operands.weight_spec(unit),
        "two": False,
        "unit": unit,
        "across": across,
        "rows": rows,
        "sizes": constants(matmul_params(matmul, epilogue, 1)),
    }
    buffers = [*operands.factors, *epilogue.buffers, y]
    width, height, _ = flat_grid(ceil_div(words, across), 1)
    grid = width, height, ceil_div(matmul.m, rows)
    return [Launch("matmul/gemm/few.wgsl", spec, buffers, grid, matmul.work(buffers))]
