"""Flat kernels: each word of the result is made alone.

A word is four elements where the extents allow it, else one. The last word of a buffer may reach
past its last element: memory comes in grains of 256 bytes, so that this stays inside.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from gpucore import Buffer, DTypeError, LimitError
from gpustd.launch.buffer_checks import require_buffers
from gpustd.launch.grid import flat_grid
from gpustd.launch.template import Value, kernel, scalar_of
from gpustd.launch.variants import forced_tile

__all__ = [
    "WORKGROUP",
    "float_scalar",
    "launch_each",
    "launch_flat",
    "plain_scalar",
    "require_f16_support",
    "widest_word",
    "width_of",
    "words_of",
]

WORKGROUP = 64
_MOST_WORDS = 2**32 - 2**11
# From so many words on, invocations take several and still fill the largest GPUs.
_MANY_WORDS = 2**20


def width_of(*extents: int) -> int:
    """Elements of a word that starts and ends at multiples of all ``extents``: 4 or 1."""
    return 1 if any(n % 4 for n in extents) else 4


def widest_word(itemsize: int, *extents: int) -> int:
    """Elements of the widest word, of at most 16 bytes, that divides all ``extents``."""
    return math.gcd(16 // itemsize, *extents)


def words_of(size: int) -> int:
    """Words of four elements that hold ``size`` elements."""
    return (size + 3) // 4


def plain_scalar(op: str, *buffers: Buffer[Any]) -> str:
    """Common WGSL scalar of buffers that are only moved. Raises `DTypeError`, `ArgumentError`."""
    require_buffers(op, *buffers)
    names: set[str | None] = {b.dtype.wgsl for b in buffers}
    listed = ", ".join(repr(b) for b in buffers)
    if len(names) != 1:
        raise DTypeError(f"{op}: wants buffers of one dtype, got {listed}: cast them first")
    name = names.pop()
    if name is None:
        raise DTypeError(f"{op}: dtype of {listed} has no WGSL scalar; use f16, f32, i32 or u32")
    require_f16_support(op, name, buffers)
    return name


def float_scalar(op: str, *buffers: Buffer[Any]) -> str:
    """Common scalar, f16 or f32, of buffers that are computed with. Raises as `scalar_of`."""
    name = scalar_of(op, *buffers)
    require_f16_support(op, name, buffers)
    return name


def require_f16_support(op: str, name: str, buffers: Sequence[Buffer[Any]]) -> None:
    """Raise `DTypeError` where ``name`` is f16 and the device computes with none."""
    if name == "f16" and not buffers[0].device.has_f16:
        raise DTypeError(f"{op}: {buffers[0].device!r} has no f16, got {buffers[0]!r}: cast to f32")


def launch_flat(
    name: str,
    spec: Mapping[str, Value],
    buffers: Sequence[Buffer[Any]],
    count: int,
    sizes: Mapping[str, int | float] | None = None,
) -> None:
    """Record ``shaders/<name>`` over ``count`` invocations; the last buffer is the result.

    The shader's uniform has ``count`` and ``sizes``. Raises `LimitError`.
    """
    _launch(name, spec, buffers, {"count": count, **(sizes or {})}, WORKGROUP)


def launch_each(
    name: str,
    spec: Mapping[str, Value],
    buffers: Sequence[Buffer[Any]],
    count: int,
    sizes: Mapping[str, int | float] | None = None,
) -> None:
    """As `launch_flat`, for shaders that include ``arrays/combination/each.wgsl``.

    Large arrays on a GPU take larger workgroups, and several words an invocation.
    """
    workgroup, words = _tile(buffers, count)
    spec = {**spec, "workgroup": workgroup, "words": words}
    _launch(name, spec, buffers, {"count": count, **(sizes or {})}, workgroup * words)


def _tile(buffers: Sequence[Buffer[Any]], count: int) -> tuple[int, int]:
    """Invocations of a workgroup, and words of each."""
    wanted = forced_tile("flat")
    if isinstance(wanted, tuple):
        return wanted
    if buffers[-1].device.is_cpu or count < _MANY_WORDS:
        return WORKGROUP, 1
    return 256, 4 if len(buffers) <= 3 else 2


def _launch(
    name: str,
    spec: Mapping[str, Value],
    buffers: Sequence[Buffer[Any]],
    sizes: Mapping[str, int | float],
    tile: int,
) -> None:
    """Record over workgroups of ``tile`` words."""
    if sizes["count"] > _MOST_WORDS:
        raise LimitError(
            f"{name}: {sizes['count']} words are more than a 32-bit index holds: split the array"
        )
    launch = kernel(buffers[-1].device, name, **spec)
    launch(*buffers, sizes, grid=flat_grid(int(sizes["count"]), tile))
