"""Where quantised weights are expanded: by the kernel of a product, or before it.

Both give the same bits, so the choice may follow the number of rows. A kernel expands a weight once
for each row of tiles. Before it, a weight is expanded once, but written and read again. So kernels
do it where one row of tiles makes all results. ``lanes`` reads Q8_0 as quickly as f32, since loads
are what costs on a CPU: there it does so for more rows. A convolution's weights in the order of a
kernel are not neighbours in their blocks: each would need a load of its own for its factor, which
costs more than expanding them does.
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

_MOST_ROWS_OF_BYTES = 256
"""The same for `lanes` and linear layers in Q8_0."""


def loads_quantized(matmul: Matmul, w: QuantizedWeight, variant: str) -> bool:
    """Tell whether the kernel of a variant expands the weights.

    `force_variant` of ``quantized`` asks for ``load`` or ``expand``, where both are possible.
    """
    if variant not in _MOST_ROWS or len(w.parts) > 1 or matmul.batch is not None:
        return False
    forced = forced_variant("quantized")
    if forced:
        return forced == "load"
    part, most = w.parts[0], _MOST_ROWS[variant]
    if variant == "lanes" and part.format == "q8_0" and not part.is_flat and not matmul.window:
        most = _MOST_ROWS_OF_BYTES
    return matmul.m <= most
