"""The launch of a matrix product: the table of variants, the choice of one, and the record.

The variants share one view of the left operand and one epilogue (``shaders/matmul/gemm``). They
are ``naive``; ``cpu`` and ``lanes`` for software renderers; ``tiled`` for any GPU, ``narrow`` for
few columns, ``few`` where the caller says that there are few rows; ``matrix`` for matrix units;
``hopper``, in CUDA C++, for those of Hopper; ``ampere``, for NVIDIA's cards from 8.0 on, which is
not quicker than ``matrix`` on any card tried so far, and is taken by force alone.

The variant depends on the device, the dtype, the widths and ``few_rows``. It does not depend on
the batch, so that results do not change with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from typing import Any

from gpucore import Buffer, Device
from gpustd.launch.elements import float_scalar, widest_word
from gpustd.launch.subgroups import broadcast_lanes
from gpustd.launch.template import kernel
from gpustd.launch.variants import forced_variant
from gpustd.matmul.epilogue import NO_EPILOGUE, Epilogue
from gpustd.matmul.operation import Matmul, Operands
from gpustd.matmul.quantized.choice import loads_quantized
from gpustd.matmul.quantized.weight import QuantizedWeight
from gpustd.matmul.rank_update import RankUpdate
from gpustd.matmul.variants.ampere import plan_ampere
from gpustd.matmul.variants.blocks import plan_matrix, plan_tiled
from gpustd.matmul.variants.few_columns import plan_narrow
from gpustd.matmul.variants.few_rows import plan_few
from gpustd.matmul.variants.flexible import plan_cpu, plan_lanes, plan_naive
from gpustd.matmul.variants.hopper import plan_hopper, takes_hopper
from gpustd.matmul.variants.launches import Launch

__all__ = ["adds_updates", "launch_matmul", "record_launches"]

_NARROW_COLUMNS = 16
# Variants whose kernels add low-rank updates.
_ADDING = ("matrix", "hopper")
# Masks of the variants for GPUs have a bit for each tap.
_MOST_TAPS = 30

VARIANTS: dict[str, Callable[[Matmul, Operands], list[Launch]]] = {
    "naive": plan_naive,
    "cpu": plan_cpu,
    "lanes": plan_lanes,
    "narrow": plan_narrow,
    "few": plan_few,
    "tiled": plan_tiled,
    "matrix": plan_matrix,
    "ampere": plan_ampere,
    "hopper": plan_hopper,
}


def launch_matmul(
    matmul: Matmul,
    x: Buffer[Any],
    w: Buffer[Any] | QuantizedWeight,
    y: Buffer[Any],
    *,
    second: Buffer[Any] | None = None,
    epilogue: Epilogue = NO_EPILOGUE,
    update: RankUpdate | None = None,
) -> None:
    """Record the launches that write ``y``.

    ``second`` is the source whose channels follow those of ``x``. Quantised weights are expanded by
    the kernel or before it, with the same bits. ``update``: only where `adds_updates`. Raises
    `DTypeError`.
    """
    plain = None if isinstance(w, QuantizedWeight) else w
    floats = (x, second, plain, epilogue.per_image, epilogue.residual)
    float_scalar(matmul.op, *(buffer for buffer in floats if buffer is not None))
    device = y.device
    variant = forced_variant("matmul") or _best_variant(matmul, device, x)
    if not isinstance(w, QuantizedWeight):
        operands = Operands(x, second, w, epilogue, y, None, update)
    elif loads_quantized(matmul, w, variant):
        operands = Operands(x, second, w.parts[0].words, epilogue, y, w.parts[0], update)
    else:
        operands = Operands(x, second, w.expand(x.dtype), epilogue, y, None, update)
    record_launches(device, VARIANTS[variant](matmul, operands))


def record_launches(device: Device, launches: Iterable[Launch]) -> None:
    """Record the launches that a variant planned."""
    for launch in launches:
        with device.region(launch.region) if launch.region else nullcontext():
            record = kernel(device, launch.shader, **launch.spec)
            record(*launch.arguments, grid=launch.grid, work=launch.work)


def adds_updates(matmul: Matmul, device: Device, x: Buffer[Any]) -> bool:
    """Tell whether the kernel of a product adds low-rank updates; that depends on no batch."""
    return (forced_variant("matmul") or _best_variant(matmul, device, x)) in _ADDING


def _best_variant(matmul: Matmul, device: Device, x: Buffer[Any]) -> str:
    n, channels = matmul.n, matmul.channels
    if device.is_cpu:
        if n % 4:
            return "naive"
        return "lanes" if n >= 16 and broadcast_lanes(device) else "cpu"
    if matmul.taps > _MOST_TAPS:
        return "naive"
    if matmul.columns < _NARROW_COLUMNS and matmul.batch is None:
        return "narrow"
    word = widest_word(x.dtype.itemsize)
    if matmul.few_rows and not any(extent % word for extent in (*channels, n)):
        return "few"
    if takes_hopper(device, matmul, x.dtype.name):
        return "hopper"
    in_words = not any(c % 8 for c in channels) or (matmul.has_window and len(channels) == 1)
    halves = device.has_matrix_units and x.dtype.name == "f16"
    return "matrix" if halves and in_words and n % 8 == 0 and n >= 16 else "tiled"
