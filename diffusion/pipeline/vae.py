"""Pictures to latents and back, whole or in tiles that overlap.

Slicing: one picture at a time, so that a batch takes no more memory than one. Tiling: where a
picture is large, square parts of it, mixed over their overlap with weights that fall linearly to
the tile's edge; the peak is then that of one tile. Normalisation sees a tile only, which shifts
colours a little from what the whole would give. A seamless picture's tiles lie across its edges
too.

What overflows f16 is done again in f32; see `diffusion.pipeline.overflow`.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diffusion.images import from_pixels
from diffusion.models.config import TinyVaeConfig
from diffusion.models.layers import Activations, seamless_padding
from diffusion.pipeline.denoiser import Latents
from diffusion.pipeline.networks import Networks
from diffusion.pipeline.overflow import Finite, redone
from diffusion.tasks.tiling import TILE, Span, in_tiles, tiled
from gpucore import Buffer, f32
from gpustd import cast, concat, linear_combination, slice_axis, to_image
from gpustd.matmul.conv import Wrap

__all__ = ["Decoded", "decode", "draw_latents", "moments"]

Array = NDArray[np.float32]

LIMITS: Final = ("max_buffer_size", "max_storage_buffer_binding_size")
LARGEST_LOG_VARIANCE: Final = 20.0
LEAST_LOG_VARIANCE: Final = -30.0


class Decoded(NamedTuple):
    """A picture, and the layer after which its decoding was done again in f32 (None: nowhere)."""

    image: Image.Image
    redone: str | None


def decode(networks: Networks, latents: Latents, tiling: str = "auto") -> Iterator[Decoded]:
    """Pictures of latents (B, h, w, C) in the UNet's scale, one at a time.

    The first is recorded at once, unless in tiles, so that a device goes on with it while the host
    asks for what was before. Raises `NotFiniteError` where there is none in them.
    """
    scaled = linear_combination([(1 / networks.vae_config.scaling_factor, latents)])
    count, height, width, _ = latents.shape
    pixels = height * width * networks.vae_config.downscale**2

    def one(index: int) -> Latents:
        return scaled if count == 1 else slice_axis(scaled, 0, index, index + 1)

    if not count or in_tiles(tiling, pixels, most_pixels(networks)):
        return (_decoded_tiles(networks, one(index)) for index in range(count))

    def pictures(begun: _Decoding) -> Iterator[Decoded]:
        for index in range(count):
            if index:
                begun = _Decoding(networks, one(index), networks.seamless, to_image)
            levels, layer = begun.result()
            yield Decoded(Image.fromarray(levels), layer)

    return pictures(_Decoding(networks, one(0), networks.seamless, to_image))


class _Decoding:
    """The decoding of latents (1, h, w, C) in the VAE's scale, under way.

    ``finish``: makes what is read of pixels (1, H, W, 3). All is submitted, the reads behind it, so
    that the host waits once.
    """

    def __init__(
        self,
        networks: Networks,
        latents: Latents,
        wrap: Wrap,
        finish: Callable[[Activations], Buffer[Any]],
    ) -> None:
        self._networks, self._latents, self._wrap = networks, latents, wrap
        self._finish = finish
        with seamless_padding(wrap), networks.device.region("vae"):
            pixels = networks.autoencoder.decode(cast(latents, networks.vae_dtype))
        finished = finish(pixels)
        self._finite = Finite(pixels)
        self._read = finished.begin_read()

    def result(self) -> tuple[NDArray[Any], str | None]:
        """What was read (H, W, 3), and the layer redone from; waits."""
        if self._finite:
            return self._read()[0], None
        with seamless_padding(self._wrap):
            pixels, layer = redone(self._networks, "decoding", self._latents)
        return self._finish(pixels).read()[0], layer


def _decoded_tiles(networks: Networks, latents: Latents) -> Decoded:
    """The picture of latents (1, h, w, C), in tiles; of several layers the first one's."""
    layers: list[str] = []

    def compute(rows: Span, columns: Span) -> Array:
        part = _part(_part(latents, 1, rows), 2, columns)
        wrap = _closed(networks.seamless, rows, columns)
        pixels, layer = _Decoding(networks, part, wrap, _as_they_are).result()
        layers.extend([layer] if layer else [])
        return pixels.astype(np.float32)

    factor = networks.vae_config.downscale
    size = latents.shape[1], latents.shape[2]
    pixels = tiled(compute, size, factor, tile_side(networks), networks.seamless)
    return Decoded(from_pixels(pixels), layers[0] if layers else None)


def _as_they_are(pixels: Activations) -> Activations:
    return pixels


def _part(latents: Latents, axis: int, span: Span) -> Latents:
    """Where ``span`` lies on an axis; what is beyond the end comes from the start."""
    end, whole = span.start + span.extent, latents.shape[axis]
    head = slice_axis(latents, axis, span.start, min(end, whole))
    return head if end <= whole else concat([head, slice_axis(latents, axis, 0, end - whole)], axis)


def _closed(wrap: Wrap, rows: Span, columns: Span) -> Wrap:
    """The axes of ``wrap`` that one tile covers, so that it alone can close them."""
    x, y = ("x" in wrap and not columns.after), ("y" in wrap and not rows.after)
    return "xy" if x and y else "x" if x else "y" if y else ""


def moments(networks: Networks, pixels: Array, tiling: str = "auto") -> Array:
    """Moments (h, w, 2 C) of the latents of a picture (1, H, W, 3) in [-1, 1].

    Means, then logarithms of variances. They are read back, before the first step.
    Raises `NotFiniteError`.
    """
    _, height, width, _ = pixels.shape
    factor = networks.folder.vae.downscale

    def compute(rows: Span, columns: Span) -> Array:
        part: Array = pixels[0][np.ix_(rows.place(factor), columns.place(factor))]
        return _encoded(networks, part[None], _closed(networks.seamless, rows, columns))

    if not in_tiles(tiling, height * width, most_pixels(networks)):
        return _encoded(networks, pixels, networks.seamless)
    size = height // factor, width // factor
    return tiled(compute, size, 1, tile_side(networks), networks.seamless)


def _encoded(networks: Networks, pixels: Array, wrap: Wrap) -> Array:
    """Moments (h, w, 2 C) of a picture (1, H, W, 3)."""
    with seamless_padding(wrap):
        with networks.device.region("vae"):
            found: Array = networks.encode_images(pixels)[0]
        if np.isfinite(found).all():
            return found
        on_device = networks.device.buffer_from_array(pixels, f32)
        again, _ = redone(networks, "encoding", on_device)
    mended: Array = again.read()[0]
    return mended


def most_pixels(networks: Networks) -> int:
    """Pixels of the largest picture whose feature maps each fit a binding of the device."""
    config = networks.vae_config
    if isinstance(config, TinyVaeConfig):
        width = max(*config.encoder_channels, *config.decoder_channels)
    else:
        width = max(config.block_out_channels[:2])
    limits = networks.device.limits
    largest = min(limits.get(name, sys.maxsize) for name in LIMITS)
    return largest // (width * networks.vae_dtype.itemsize)


def tile_side(networks: Networks) -> int:
    """Latents of a tile's side: as many as the device takes, at most `TILE`."""
    return max(1, min(TILE, math.isqrt(most_pixels(networks)) // networks.vae_config.downscale))


def draw_latents(found: Array, noise: Array, scaling: float) -> Array:
    """Latents (B, h, w, C) in the UNet's scale, drawn from `moments` with unit ``noise``."""
    means, logs = np.split(found.astype(np.float64), 2, axis=-1)
    deviations = np.exp(0.5 * np.clip(logs, LEAST_LOG_VARIANCE, LARGEST_LOG_VARIANCE))
    return ((means + deviations * noise) * scaling).astype(np.float32)
