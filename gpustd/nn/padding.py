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

        >>> import numpy as np
        >>> from gpucore import Device
        >>> from gpustd import nn
        >>> x = Device.auto().buffer_from_array(np.array([[[1], [2], [3]]], np.float32))
        >>> nn.pad(x, [(2, 1)], "reflect").read().ravel().tolist()
        [3.0, 2.0, 1.0, 2.0, 3.0, 2.0]
    """
    require_buffers("pad", x)
    rank = len(x.shape) - 2
    if not 1 <= rank <= 3:
        raise ShapeError(f"pad: {x.shape}: wants (N, L, C), (N, H, W, C) or (N, D, H, W, C)")
    pairs = _pairs(padding, rank)
    if mode not in _MODES or len(pairs) != rank:
        raise ArgumentError(
            f"pad: padding {padding} in mode {mode!r}: wants {rank} pairs of numbers "
            f"from 0 on, and one of {', '.join(_MODES)}"
        )
    _check_reach(x.shape[1:-1], pairs, mode)
    shape = tuple(n + sum(pair) for n, pair in zip(x.shape[1:-1], pairs, strict=True))
    y = x.device.buffer(x.dtype, (x.shape[0], *shape, x.shape[-1]))
    width = width_of(x.shape[-1])
    spec: dict[str, Value] = {"scalar": common_scalar("pad", x), "width": width, "mode": mode}
    sizes: dict[str, float] = {
        "units": x.shape[-1] // width,
        "value": as_float("pad", "value", value),
    }
    lead = 3 - rank
    triples = [(1, 1, 0)] * lead + [
        (n, m, pair[0]) for n, m, pair in zip(x.shape[1:-1], shape, pairs, strict=True)
    ]
    for name, (size, result, before) in zip(AXES, triples, strict=True):
        sizes |= {f"size_{name}": size, f"result_{name}": result, f"before_{name}": before}
    launch_each("nn/pad.wgsl", spec, (x, y), y.size // width, sizes)
    return y


def _pairs(padding: Any, rank: int) -> list[tuple[int, int]]:
    """(before, after) of each axis; none where it is no such thing."""
    try:
        given = padding if isinstance(padding, Sequence) else [(padding, padding)] * rank
        pairs = [(index(before), index(after)) for before, after in given]
    except (TypeError, ValueError):
        return []
    return [] if any(min(pair) < 0 for pair in pairs) else pairs


def _check_reach(sizes: Sequence[int], pairs: Sequence[tuple[int, int]], mode: str) -> None:
    """Raise `ArgumentError` where a mode has no elements to take."""
    for size, pair in zip(sizes, pairs, strict=True):
        most = {"constant": max(pair), "reflect": size - 1, "circular": size}.get(
            mode, max(pair) if size else 0
        )
        if max(pair) > max(most, 0):
            raise ArgumentError(f"pad: {pair} in mode {mode!r} reaches too far beyond {size}")
