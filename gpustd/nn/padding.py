"""Padding of feature maps."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import Any, Literal

from gpucore import ArgumentError, Buffer, ShapeError, T
from gpustd.launch.checks import as_float, require_buffers
from gpustd.launch.elements import common_scalar, launch_each, width_of
from gpustd.launch.template import Value
from gpustd.nn.conv.windows import AXES

__all__ = ["pad"]

_MODES = ("constant", "reflect", "replicate", "circular")


def pad(
    x: Buffer[T],
    padding: int | Sequence[tuple[int, int]],
    mode: Literal["constant", "reflect", "replicate", "circular"] = "constant",
    value: float = 0.0,
) -> Buffer[T]:
    """Lengthen the spatial axes of (N, L, C), (N, H, W, C) or (N, D, H, W, C).

    Args:
        x: of dtype f16, f32, i32 or u32.
        padding: elements on all sides, or (before, after) for each spatial axis in order.
        mode: ``constant`` adds ``value``, ``reflect`` mirrors without the edge (at most size - 1
            elements), ``replicate`` repeats the edge, ``circular`` goes on at the other side (at
            most size elements): NumPy's ``constant, reflect, edge, wrap``.
        value: what ``constant`` adds.

    Raises `ShapeError`, `ArgumentError`, `DTypeError`.

        >>> x = device.buffer_from_array(np.array([[[1], [2], [3]]], np.float32))
        >>> nn.pad(x, [(2, 1)], "reflect").read().ravel().tolist()
        [3.0, 2.0, 1.0, 2.0, 3.0, 2.0]
    """
    require_buffers("pad", x)
    rank = len(x.shape) - 2
    if not 1 <= rank <= 3:
        raise ShapeError(
            f"pad: x must be (N, L, C), (N, H, W, C) or (N, D, H, W, C), got {x.shape}"
        )
    if mode not in _MODES:
        raise ArgumentError(f"pad: mode must be one of {', '.join(_MODES)}, got {mode!r}")
    pads = _pads(padding, rank)
    for size, pair in zip(x.shape[1:-1], pads, strict=True):
        _check_reach(size, pair, mode)
    extents = tuple(n + sum(pair) for n, pair in zip(x.shape[1:-1], pads, strict=True))
    y = x.device.buffer(x.dtype, (x.shape[0], *extents, x.shape[-1]))
    width = width_of(x.shape[-1])
    spec: dict[str, Value] = {"scalar": common_scalar("pad", x), "width": width, "mode": mode}
    sizes: dict[str, float] = {
        "units": x.shape[-1] // width,
        "value": as_float("pad", "value", value),
    }
    axes = [(n, m, pair[0]) for n, m, pair in zip(x.shape[1:-1], extents, pads, strict=True)]
    axes = [(1, 1, 0)] * (3 - rank) + axes
    for name, (size, result, before) in zip(AXES, axes, strict=True):
        sizes |= {f"size_{name}": size, f"result_{name}": result, f"before_{name}": before}
    launch_each("nn/pad.wgsl", spec, (x, y), y.size // width, sizes)
    return y


def _pads(padding: Any, rank: int) -> list[tuple[int, int]]:
    """Return (before, after) of each axis. Raises `ArgumentError`."""
    try:
        pairs = padding if isinstance(padding, Sequence) else [(padding, padding)] * rank
        pads = [(index(before), index(after)) for before, after in pairs]
    except (TypeError, ValueError):
        pads = []
    if len(pads) != rank or any(min(pair) < 0 for pair in pads):
        raise ArgumentError(
            f"pad: padding must be a number or {rank} pairs (before, after) of numbers >= 0, "
            f"got {padding!r}"
        )
    return pads


def _check_reach(size: int, pair: tuple[int, int], mode: str) -> None:
    """Raise `ArgumentError` where a mode has too few elements to take from."""
    most = {"reflect": max(size - 1, 0), "circular": size, "replicate": max(pair) if size else 0}
    if max(pair) > most.get(mode, max(pair)):
        raise ArgumentError(
            f"pad: padding must be at most {most[mode]} in mode {mode!r} for an extent of {size}, "
            f"got {pair}"
        )
