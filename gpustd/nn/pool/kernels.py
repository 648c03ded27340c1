"""The kernels of pooling: over windows, and over all pixels."""

from __future__ import annotations

import math

from gpucore import Buffer, T
from gpucore.integers import ceil_div
from gpustd.launch.elements import float_scalar, width_of
from gpustd.launch.grid import flat_grid
from gpustd.launch.template import Value, kernel
from gpustd.launch.variants import forced_variant
from gpustd.nn.conv.blocks import launch_window
from gpustd.nn.conv.windows import AXES, Window

__all__ = ["launch_mean", "launch_pool"]

# Neighbouring words, and slices of pixels, in a workgroup of ``nn/mean.wgsl``.
_SIDE = 16


def launch_pool(
    kind: str, x: Buffer[T], window: Window, count_include_pad: bool = False
) -> Buffer[T]:
    """Return the ``max`` or ``mean`` of each window of (N, ..., C)."""
    extents = tuple(axis.result for axis in window[5 - len(x.shape) :])
    y = x.device.buffer(x.dtype, (x.shape[0], *extents, x.shape[-1]))
    spec: dict[str, Value] = {
        "scalar": float_scalar("pool", x),
        "kind": kind,
        "counted": count_include_pad,
    }
    ends = {f"end_{a}": axis.size + axis.after for a, axis in zip(AXES, window, strict=True)}
    launch_window("pool", spec, (x, y), window, ends)
    return y


def launch_mean(x: Buffer[T]) -> Buffer[T]:
    """Return the mean over all pixels: (N, ..., C) to (N, C)."""
    images, channels = x.shape[0], x.shape[-1]
    y = x.device.buffer(x.dtype, (images, channels))
    width = width_of(channels)
    units = channels // width
    variant = forced_variant("nn.mean") or ("naive" if x.device.is_cpu else "sliced")
    slices = _SIDE if variant == "sliced" else 1
    spec: dict[str, Value] = {
        "scalar": float_scalar("pool", x),
        "width": width,
        "slices": slices,
    }
    blocks = ceil_div(units, _SIDE)
    sizes = {"images": images, "units": units, "pixels": math.prod(x.shape[1:-1]), "blocks": blocks}
    if y.size:
        launch = kernel(x.device, "nn/mean.wgsl", **spec)
        launch(x, y, sizes, grid=flat_grid(images * blocks, 1))
    return y
