"""Elements of buffers: their WGSL scalar, their words, and kernels that make each word alone.

A word is four elements where the extents allow it, else one. The last word of a buffer may reach
past its last element: memory comes in grains of 256 bytes, so that this stays inside.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from gpucore import Buffer, Device, DType, DTypeError, LimitError, f16, f32
from gpucore.integers import ceil_div
from gpustd.launch.checks import require_buffers
from gpustd.launch.grid import flat_grid
from gpustd.launch.template import Value, kernel
from gpustd.launch.variants import forced_tile

__all__ = [
    "WORKGROUP",
    "can_compare_f16_pairs",
    "common_scalar",
    "float_scalar",
    "launch_each",
    "launch_flat",
    "require_f16_support",
    "widest_word",
    "width_of",
    "words_of",
]

WORKGROUP = 64
_MOST_WORDS = 2**32 - 2**11
# With at least so many words, invocations that take several still fill the largest GPUs.
_WORDS_FOR_LARGE_TILES = 2**20


def can_compare_f16_pairs(device: Device) -> bool:
    """Tell whether ``min`` and ``max`` of vectors of f16 are right and quick.

    wgpu-native 29 takes the wrong ones. HIP compares them as f32, one by one.
    """
    return device.has_f16 and device.info.engine in ("dawn", "cuda")


def width_of(*extents: int) -> int:
    """Return the elements of a word, 4 or 1, such that words divide all ``extents``."""
    return 1 if any(n % 4 for n in extents) else 4


def widest_word(itemsize: int, *extents: int) -> int:
    """Return the elements of the widest word, at most 16 bytes, that divides all ``extents``."""
    return math.gcd(16 // itemsize, *extents)


def words_of(size: int) -> int:
    """Return how many words of four elements hold ``size`` elements."""
    return ceil_div(size, 4)


def common_scalar(op: str, *buffers: Buffer[Any]) -> str:
    """Return the WGSL scalar that all buffers share, for kernels that only move elements.

    Raises `DTypeError` or `ArgumentError`.
    """
    require_buffers(op, *buffers)
    names: set[str | None] = {b.dtype.wgsl for b in buffers}
    if len(names) != 1:
        raise DTypeError(
            f"{op}: buffers must have one dtype, got {_describe(buffers)}; cast them first"
        )
    name = names.pop()
    if name is None:
        raise DTypeError(
            f"{op}: dtype must have a WGSL scalar (f16, f32, i32 or u32), got {_describe(buffers)}"
        )
    require_f16_support(op, name, buffers)
    return name


def float_scalar(op: str, *buffers: Buffer[Any]) -> str:
    """Return the WGSL scalar, ``f16`` or ``f32``, that all buffers share, for arithmetic.

    Raises `DTypeError` or `ArgumentError`.
    """
    require_buffers(op, *buffers)
    dtypes: set[type[DType]] = {b.dtype for b in buffers}
    if len(dtypes) != 1 or not dtypes <= {f16, f32}:
        raise DTypeError(
            f"{op}: buffers must have one float dtype (f16 or f32), got {_describe(buffers)}"
        )
    name = dtypes.pop().name
    require_f16_support(op, name, buffers)
    return name


def _describe(buffers: Sequence[Buffer[Any]]) -> str:
    return ", ".join(map(repr, buffers))


def require_f16_support(op: str, name: str, buffers: Sequence[Buffer[Any]]) -> None:
    """Raise `DTypeError` where ``name`` is f16 and the device does not support it."""
    if name == "f16" and not buffers[0].device.has_f16:
        raise DTypeError(
            f"{op}: dtype must be f32, since {buffers[0].device!r} has no f16, got {buffers[0]!r}; "
            "cast it to f32"
        )


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
    """Record ``shaders/<name>`` as `launch_flat` does, with several words an invocation.

    The shader includes ``arrays/combination/each.wgsl``. Large arrays on a GPU take larger
    workgroups, and two or four words an invocation.
    """
    workgroup, words = _flat_tile(buffers, count)
    spec = {**spec, "workgroup": workgroup, "words": words}
    _launch(name, spec, buffers, {"count": count, **(sizes or {})}, workgroup * words)


def _flat_tile(buffers: Sequence[Buffer[Any]], count: int) -> tuple[int, int]:
    """Return the invocations of a workgroup, and the words of each."""
    forced = forced_tile("flat")
    if isinstance(forced, tuple):
        return forced
    if buffers[-1].device.is_cpu or count < _WORDS_FOR_LARGE_TILES:
        return WORKGROUP, 1
    return 256, 4 if len(buffers) <= 3 else 2


def _launch(
    name: str,
    spec: Mapping[str, Value],
    buffers: Sequence[Buffer[Any]],
    sizes: Mapping[str, int | float],
    words: int,
) -> None:
    """Record over workgroups of ``words`` words."""
    count = int(sizes["count"])
    if count > _MOST_WORDS:
        raise LimitError(
            f"{name}: an array must have at most {_MOST_WORDS} words, got {count}; split it"
        )
    launch = kernel(buffers[-1].device, name, **spec)
    launch(*buffers, sizes, grid=flat_grid(count, words))
