"""Pictures to latents and back, whole or in tiles that overlap.

Slicing: pictures are decoded one at a time, so that a batch takes no more memory than one picture.
Tiling: a large picture is computed in square tiles, so that it takes the memory of one tile. Tiles
are mixed over their overlap with weights that fall linearly to the tile's edge. A group norm sees
one tile only, which shifts colours a little. The tiles of a seamless picture lie across its edges
too.

A picture that overflows f16 is computed again in f32; see `diffusion.pipeline.overflow`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diffusion.images import from_pixels
from diffusion.models.config import TinyVaeConfig
from diffusion.models.layers import Activations, seamless_padding
from diffusion.models.weights import largest_buffer
from diffusion.pipeline.denoiser import Latents
from diffusion.pipeline.networks import Networks
from diffusion.pipeline.overflow import FiniteCheck, recompute_in_f32
from diffusion.tasks.tiling import (
    TILE,
    TileSpan,
    axes_within_tile,
    compute_in_tiles,
    needs_tiles,
)
from gpucore import Buffer, f32
from gpustd import cast, concat, linear_combination, slice_axis, to_image
from gpustd.matmul.conv import Wrap

__all__ = ["DecodedImage", "decode", "draw_latents", "moments"]

Array = NDArray[np.float32]

LARGEST_LOG_VARIANCE: Final = 20.0
LEAST_LOG_VARIANCE: Final = -30.0


class DecodedImage(NamedTuple):
    """A picture, and the layer from which on it was decoded again in f32 (None: nowhere)."""

    image: Image.Image
    f32_from: str | None


def decode(networks: Networks, latents: Latents, tiling: str = "auto") -> Iterator[DecodedImage]:
    """Decode latents (B, h, w, C) in the UNet's scale, one picture at a time.

    The first picture is recorded at once, unless it is computed in tiles: the device goes on with
    it while the host checks earlier steps. Raises `NotFiniteError`.
    """
    scaled = linear_combination([(1 / networks.vae_config.scaling_factor, latents)])
    count, height, width, _ = latents.shape
    pixels = height * width * networks.vae_config.downscale**2

    def image_latents(index: int) -> Latents:
        return scaled if count == 1 else slice_axis(scaled, 0, index, index + 1)

    if not count or needs_tiles(tiling, pixels, most_pixels(networks)):
        return (_decode_in_tiles(networks, image_latents(index)) for index in range(count))

    def decode_rest(decoding: Decoding) -> Iterator[DecodedImage]:
        for index in range(count):
            if index:
                decoding = Decoding(networks, image_latents(index), networks.seamless, to_image)
            levels, layer = decoding.result()
            yield DecodedImage(Image.fromarray(levels), layer)

    return decode_rest(Decoding(networks, image_latents(0), networks.seamless, to_image))


class Decoding:
    """The decoding of latents (1, h, w, C) in the VAE's own scale, under way on the device.

    ``finish``: converts pixels (1, H, W, 3) before they are read. All work is submitted with its
    reads behind it, so that the host waits once.
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
        self._finite = FiniteCheck(pixels)
        self._read = finished.begin_read()

    def result(self) -> tuple[NDArray[Any], str | None]:
        """Wait; return the pixels (H, W, 3), and the layer from which on they are of f32."""
        if self._finite:
            return self._read()[0], None
        with seamless_padding(self._wrap):
            pixels, layer = recompute_in_f32(self._networks, "decoding", self._latents)
        return self._finish(pixels).read()[0], layer


def _decode_in_tiles(networks: Networks, latents: Latents) -> DecodedImage:
    """Decode latents (1, h, w, C) in tiles; name the first layer that is computed again."""
    layers: list[str] = []

    def compute(rows: TileSpan, columns: TileSpan) -> Array:
        part = _slice_span(_slice_span(latents, 1, rows), 2, columns)
        wrap = axes_within_tile(networks.seamless, rows, columns)
        pixels, layer = Decoding(networks, part, wrap, finish=lambda pixels: pixels).result()
        layers.extend([layer] if layer else [])
        return pixels.astype(np.float32)

    factor = networks.vae_config.downscale
    size = latents.shape[1], latents.shape[2]
    pixels = compute_in_tiles(compute, size, factor, tile_side(networks), networks.seamless)
    return DecodedImage(from_pixels(pixels), layers[0] if layers else None)


def _slice_span(latents: Latents, axis: int, span: TileSpan) -> Latents:
    """Return the latents of a tile along an axis; those beyond the end come from the start."""
    end, length = span.start + span.extent, latents.shape[axis]
    head = slice_axis(latents, axis, span.start, min(end, length))
    if end <= length:
        return head
    return concat([head, slice_axis(latents, axis, 0, end - length)], axis)


def moments(networks: Networks, pixels: Array, tiling: str = "auto") -> Array:
    """Return moments (h, w, 2 C) of the latents of a picture (1, H, W, 3) in [-1, 1].

    Means come first, then logarithms of variances. They are read back to the host.
    Raises `NotFiniteError`.
    """
    _, height, width, _ = pixels.shape
    factor = networks.folder.vae.downscale

    def compute(rows: TileSpan, columns: TileSpan) -> Array:
        part: Array = pixels[0][np.ix_(rows.indices(factor), columns.indices(factor))]
        return _encode(networks, part[None], axes_within_tile(networks.seamless, rows, columns))

    if not needs_tiles(tiling, height * width, most_pixels(networks)):
        return _encode(networks, pixels, networks.seamless)
    size = height // factor, width // factor
    return compute_in_tiles(compute, size, 1, tile_side(networks), networks.seamless)


def _encode(networks: Networks, pixels: Array, wrap: Wrap) -> Array:
    """Return moments (h, w, 2 C) of a picture (1, H, W, 3) that is not cut into tiles."""
    with seamless_padding(wrap):
        with networks.device.region("vae"):
            found: Array = networks.encode_images(pixels)[0]
        if np.isfinite(found).all():
            return found
        on_device = networks.device.buffer_from_array(pixels, f32)
        recomputed, _ = recompute_in_f32(networks, "encoding", on_device)
    exact: Array = recomputed.read()[0]
    return exact


def most_pixels(networks: Networks) -> int:
    """Return the pixels of the largest picture whose feature maps each fit a device's binding."""
    config = networks.vae_config
    if isinstance(config, TinyVaeConfig):
        width = max(*config.encoder_channels, *config.decoder_channels)
    else:
        width = max(config.block_out_channels[:2])
    return largest_buffer(networks.device) // (width * networks.vae_dtype.itemsize)


def tile_side(networks: Networks) -> int:
    """Return a tile's side in latents: as many as the device takes, at most `TILE`."""
    most = networks.placement.tile or TILE
    return max(1, min(most, math.isqrt(most_pixels(networks)) // networks.vae_config.downscale))


def draw_latents(distribution: Array, noise: Array, scaling: float) -> Array:
    """Draw latents (B, h, w, C) in the UNet's scale from `moments`, with unit ``noise``."""
    means, logs = np.split(distribution.astype(np.float64), 2, axis=-1)
    deviations = np.exp(0.5 * np.clip(logs, LEAST_LOG_VARIANCE, LARGEST_LOG_VARIANCE))
    return ((means + deviations * noise) * scaling).astype(np.float32)
