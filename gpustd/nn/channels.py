"""Elementwise kernels whose parameters belong to channels: ``shaders/nn/channels.wgsl``."""

from __future__ import annotations

from typing import Any

from gpucore import Buffer, T
from gpucore.integers import ceil_div
from gpustd.launch.elements import float_scalar, width_of
from gpustd.launch.grid import flat_grid
from gpustd.launch.template import Value, kernel
from gpustd.launch.variants import forced_tile

__all__ = ["launch_channels"]

# From so many words on, an invocation takes several and the largest GPUs still stay full.
_MANY_WORDS = 2**20
_WORDS_OF_INVOCATION = 8


def launch_channels(
    op: str, kind: str, x: Buffer[T], parameters: tuple[Buffer[Any], ...], eps: float = 0.0
) -> Buffer[T]:
    """Apply ``kind`` to every element of ``x`` (..., C) with its channel's parameters.

    An invocation takes words that lie a multiple of C apart, so that it reads the parameters once.
    """
    y = x.device.buffer(x.dtype, x.shape)
    if not y.size:
        return y
    width = width_of(x.shape[-1])
    units, count = x.shape[-1] // width, x.size // width
    tile = forced_tile("nn.channels")
    words = 1 if x.device.is_cpu or count < _MANY_WORDS else _WORDS_OF_INVOCATION
    words = tile if isinstance(tile, int) else words
    rows = ceil_div(count, units)
    step = ceil_div(rows, words) * units
    spec: dict[str, Value] = {
        "scalar": float_scalar(op, x),
        "width": width,
        "kind": kind,
        "words": words,
    }
    sizes = {"count": count, "units": units, "step": step, "eps": eps}
    launch = kernel(x.device, "nn/channels.wgsl", **spec)
    launch(x, *parameters, y, sizes, grid=flat_grid(step, 64))
    return y
