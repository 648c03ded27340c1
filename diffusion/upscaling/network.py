"""A loaded upscaler: pictures as arrays, whole or in tiles that overlap.

A picture of at most a tile is computed at once; its bits are the network's. A larger one is made of
square tiles that share a quarter of their side with each neighbour. They are mixed there with
weights that fall linearly to a tile's edge, so that no seam shows. Since a network sees farther
than the overlap, the bits are not those of the whole picture computed at once.
"""

from __future__ import annotations

import functools
import math
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from diffusion.checkpoints.upscalers import open_upscaler
from diffusion.errors import NotFiniteError, SettingsError
from diffusion.models.graph_cache import CapturedFunction, GraphCache
from diffusion.models.layers import seamless_padding
from diffusion.models.module import load
from diffusion.models.upscalers import RrdbConfig, UpscalerConfig, upscaler_of
from diffusion.models.weights import largest_buffer
from diffusion.tasks.tiling import TileSpan, axes_within_tile, compute_in_tiles
from gpucore import Device, DType, f32
from gpucore.integers import ceil_div
from gpustd.matmul.conv import Wrap

__all__ = ["UpscalerNetwork"]

Array = NDArray[np.float32]

TILE: Final = 256
"""Pixels of a tile's side, where the device takes them."""
MOST_RESULT: Final = 1 << 26
"""Pixels of a network's result, which the host holds in f32."""
MOST_GRAPHS: Final = 2
LARGEST_GRAPH: Final = 1024 * 1024
"""Pixels of a result, beyond which a graph's memory is given back at once."""


class UpscalerNetwork:
    """An upscaler on a device. ``name``: of its file, without the end."""

    def __init__(
        self, name: str, config: UpscalerConfig, device: Device, dtype: type[DType]
    ) -> None:
        self.name, self.config = name, config
        self.network = upscaler_of(config)
        self._device, self._dtype = device, dtype
        self._graphs = GraphCache[CapturedFunction](MOST_GRAPHS, LARGEST_GRAPH)

    @classmethod
    def load(cls, path: Path, device: Device, dtype: type[DType]) -> UpscalerNetwork:
        """Check a file and load it. Raises ``ModelError`` as `open_upscaler` does."""
        opened = open_upscaler(path)
        made = cls(path.stem, opened.config, device, dtype)
        with device.region("loading"):
            load(made.network, opened.weights.read, device, dtype)
        device.trim()
        return made

    @property
    def scale(self) -> int:
        """The factor by which pictures become wider and higher."""
        return self.config.scale

    @property
    def tile(self) -> int:
        """A tile's side in pixels: as many as the device takes, at most `TILE`."""
        room = largest_buffer(self._device) / (self.config.channels_a_pixel * self._dtype.itemsize)
        grain = self._grain
        return max(grain, min(TILE, math.isqrt(int(room))) // grain * grain)

    @property
    def _grain(self) -> int:
        """The number that both sides of what the network reads are multiples of."""
        return self.config.unshuffle if isinstance(self.config, RrdbConfig) else 1

    def enlarge(self, pixels: Array, wrap: Wrap = "") -> Array:
        """Return (H, W, 3) in 0..1 as (scale H, scale W, 3). Opposite edges meet along ``wrap``.

        Raises `SettingsError` where the result is too large, and `NotFiniteError`.
        """
        height, width, _ = pixels.shape
        if height * width * self.scale**2 > MOST_RESULT:
            size = f"{width * self.scale}x{height * self.scale}"
            hint = f"{size} is over {MOST_RESULT} pixels; give a smaller picture"
            raise SettingsError("upscaler", self.name, hint)
        padded = _pad(pixels, self._grain)

        def compute(rows: TileSpan, columns: TileSpan) -> Array:
            part: Array = padded[np.ix_(rows.indices(1), columns.indices(1))]
            return self._compute(part, axes_within_tile(wrap, rows, columns))

        larger = compute_in_tiles(compute, padded.shape[:2], self.scale, self.tile, wrap)
        return larger[: height * self.scale, : width * self.scale]

    def _compute(self, pixels: Array, wrap: Wrap) -> Array:
        """Return what the network makes of one tile."""
        x = self._device.buffer_from_array(np.ascontiguousarray(pixels[None]), self._dtype)
        capture = functools.partial(CapturedFunction, self.network, x)
        with (
            seamless_padding(wrap),
            self._device.region("upscaler"),
            self._graphs.lend((x.shape, wrap), capture) as captured,
        ):
            found: NDArray[Any] = captured(x).read()[0]
        if not np.isfinite(found).all():
            hint = "compute in f32 (--dtype f32)"
            if self._dtype is f32:
                hint = "check the file of the upscaler"
            raise NotFiniteError("upscaler", f"in what {self.name} makes", hint)
        return found.astype(np.float32)

    def release(self) -> None:
        """Give the captured graphs' memory back."""
        self._graphs.release()


def _pad(pixels: Array, grain: int) -> Array:
    """Return a picture whose sides are multiples of ``grain``: mirrored at the right and below."""
    height, width, _ = pixels.shape
    down, across = (ceil_div(side, grain) * grain - side for side in (height, width))
    if not (down or across):
        return pixels
    pads = ((0, down), (0, across), (0, 0))
    if min(height, width) < grain:
        return np.pad(pixels, pads, mode="edge")  # too few pixels for a mirror
    return np.pad(pixels, pads, mode="reflect")
