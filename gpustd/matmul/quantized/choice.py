"""Where quantised weights are expanded: by the kernel of a product, or before it.

Both give the same bits, so the choice may follow the number of rows. A kernel expands a weight once
for each row of tiles. Before it, a weight is expanded once, but written and read again. So kernels
do it where one row of tiles makes all results.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpustd.launch.variants import forced_variant
from gpustd.matmul.quantized.weight import QuantizedWeight

if TYPE_CHECKING:
    from gpustd.matmul.operation import Matmul

__all__ = ["loads_quantized"]

# Rows up to which a variant's kernel expands its operand. Others, such as `hopper`, never do.
_MOST_ROWS = {"naive": 16, "cpu": 8, "lanes": 16, "few": 16, "tiled": 128, "matrix": 128}


def loads_quantized(matmul: Matmul, w: QuantizedWeight, variant: str) -> bool:
    """Tell whether the kernel of a variant expands the weights.

    `force_variant` of ``quantized`` asks for ``load`` or ``expand``, where both are possible.
    """
    if variant not in _MOST_ROWS or len(w.parts) > 1 or matmul.batch is not None:
        return False
    forced = forced_variant("quantized")
    return forced == "load" if forced else matmul.m <= _MOST_ROWS[variant]
