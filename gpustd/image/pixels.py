"""Launching kernels that make each pixel from one: those that include ``image/pixels.wgsl``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gpucore import Buffer, f32
from gpucore.integers import ceil_div
from gpustd.image.picture import picture_of
from gpustd.launch.grid import flat_grid
from gpustd.launch.template import Value, kernel
from gpustd.launch.variants import forced_variant

__all__ = ["launch_pixels", "pixels_each"]

_LANES = 64
# Where only results are staged: barriers are cheap in workgroups of one subgroup.
_FEW_LANES = 32


def pixels_each(*buffers: Buffer[Any]) -> int:
    """Pixels of an invocation: whole words of 16 bytes, or where u8 meets f32 or a CPU, of 4."""
    return 4 if _variant(buffers[0]) == "direct" or any(b.dtype is f32 for b in buffers) else 16


def launch_pixels(
    name: str, spec: Mapping[str, Value], x: Buffer[Any], y: Buffer[Any], pixels: int, run: int = 1
) -> None:
    """Record ``shaders/image/<name>``, ``pixels`` an invocation, from ``x`` to ``y``.

    ``run`` counts invocations whose pixels change places with one another, where they do.
    """
    source, made = picture_of(name, x), picture_of(name, y)
    units = ceil_div(made.pixels, pixels)
    staged = _staged(x, made.channels, pixels, moved="mirrored" in spec)
    lanes = _FEW_LANES if staged == "result" else _LANES
    full: dict[str, Value] = {
        "source": x.dtype.name,
        "target": y.dtype.name,
        "ci": source.channels,
        "co": made.channels,
        "pixels": pixels,
        "staged": staged,
        "lanes": lanes,
        "quick": staged == "result",
        **spec,
    }
    sizes = {"units": units, "run": run}
    for field, buffer in (("x_words", x), ("y_words", y)):
        word = 16 if buffer.dtype is f32 or pixels == 16 else 4
        sizes[field] = ceil_div(buffer.nbytes, word)
    launch = kernel(x.device, f"image/{name}", **full)
    launch(x, y, sizes, grid=flat_grid(units, lanes))


def _staged(x: Buffer[Any], channels: int, pixels: int, *, moved: bool) -> str:
    """What goes through workgroup memory: ``both`` sides, the ``result`` or nothing.

    Where 16 pixels of levels are converted, arithmetic wants invocations more than reads want to
    lie side by side; words of one channel lie so by themselves.
    """
    if _variant(x) == "direct":
        return ""
    if pixels < 16 or moved:
        return "both"
    return "result" if channels > 1 else ""


def _variant(x: Buffer[Any]) -> str:
    """``staged`` through workgroup memory, or ``direct``."""
    return forced_variant("pixels") or ("direct" if x.device.is_cpu else "staged")
