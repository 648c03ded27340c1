"""Launches of kernels that compute each pixel from one pixel (``image/pixels.wgsl``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gpucore import Buffer, f32
from gpucore.integers import ceil_div
from gpustd.image.shapes import image_shape
from gpustd.launch.grid import flat_grid
from gpustd.launch.template import Value, kernel
from gpustd.launch.variants import forced_variant

__all__ = ["launch_pixels", "pixels_per_invocation"]

_WORKGROUP = 64
# A workgroup of one subgroup, whose barriers are cheap: for kernels that stage results alone.
_SMALL_WORKGROUP = 32


def pixels_per_invocation(*buffers: Buffer[Any]) -> int:
    """Return the pixels of an invocation: 16, or 4 where u8 meets f32 or on a CPU.

    So an invocation reads and writes whole words of 16 bytes where it can.
    """
    return 4 if _variant(buffers[0]) == "direct" or any(b.dtype is f32 for b in buffers) else 16


def launch_pixels(
    name: str, spec: Mapping[str, Value], x: Buffer[Any], y: Buffer[Any], pixels: int, run: int = 1
) -> None:
    """Record ``shaders/image/<name>`` from ``x`` to ``y``, ``pixels`` for each invocation.

    ``run`` counts the invocations whose pixels change places with one another, in kernels that
    move pixels.
    """
    source, target = image_shape(name, x), image_shape(name, y)
    units = ceil_div(target.pixels, pixels)
    staged = _staged_sides(x, target.channels, pixels, moved="mirrored" in spec)
    workgroup = _SMALL_WORKGROUP if staged == "result" else _WORKGROUP
    full: dict[str, Value] = {
        "source": x.dtype.name,
        "target": y.dtype.name,
        "ci": source.channels,
        "co": target.channels,
        "pixels": pixels,
        "staged": staged,
        "lanes": workgroup,
        "quick": staged == "result",
        **spec,
    }
    sizes = {"units": units, "run": run}
    for field, buffer in (("x_words", x), ("y_words", y)):
        word = 16 if buffer.dtype is f32 or pixels == 16 else 4
        sizes[field] = ceil_div(buffer.nbytes, word)
    launch = kernel(x.device, f"image/{name}", **full)
    launch(x, y, sizes, grid=flat_grid(units, workgroup))


def _staged_sides(x: Buffer[Any], channels: int, pixels: int, *, moved: bool) -> str:
    """Return what goes through workgroup memory: ``both`` sides, the ``result``, or nothing.

    Where 16 pixels of u8 are converted, many invocations matter more than reads side by side. With
    one channel, the words of neighbours lie side by side without staging.
    """
    if _variant(x) == "direct":
        return ""
    if pixels < 16 or moved:
        return "both"
    return "result" if channels > 1 else ""


def _variant(x: Buffer[Any]) -> str:
    """Return ``staged`` (through workgroup memory) or ``direct``."""
    return forced_variant("pixels") or ("direct" if x.device.is_cpu else "staged")
