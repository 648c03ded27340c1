"""`LoadedAdapter`: an IP-Adapter and its image encoder on the device, and the tokens they make."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diffusion.control.clip_pixels import encoder_pixels
from diffusion.control.image_prompt import COMBINATIONS, ImagePrompt
from diffusion.models.image_prompts import (
    ClipVisionConfig,
    ClipVisionModel,
    CrossPlace,
    IpAdapter,
    IpAdapterConfig,
    cut_patches,
)
from diffusion.models.layers import Activations
from gpucore import Device, DType, f32
from gpustd import cast, slice_axis

__all__ = ["ImageTokens", "LoadedAdapter", "LoadedEncoder"]

_MOST_KNOWN: Final = 16
"""Image prompts whose tokens are kept."""

Array = NDArray[np.float32]


class ImageTokens(NamedTuple):
    """Tokens (1, T, context) of an image prompt, and as many for the negative prompt."""

    prompt: Activations
    negative: Activations


@dataclass(frozen=True, eq=False)
class LoadedEncoder:
    """A loaded image encoder; ``key``: which file it is of."""

    key: Hashable
    config: ClipVisionConfig
    network: ClipVisionModel


@dataclass(frozen=True, eq=False)
class LoadedAdapter:
    """A loaded IP-Adapter; ``key``, ``name``: of its file. ``places``: what it adds to.

    ``known``: tokens that were made before, by what they were made of.
    """

    key: Hashable
    name: str
    config: IpAdapterConfig
    network: IpAdapter
    encoder: LoadedEncoder
    places: Sequence[CrossPlace]
    device: Device
    dtype: type[DType]
    known: dict[Hashable, ImageTokens] = field(default_factory=dict, repr=False)

    @property
    def sides(self) -> list[str]:
        """The side of the UNet that each transformer is on, in the order of computing."""
        found = {place.transformer: place.side for place in self.places}
        return [found[number] for number in sorted(found)]

    def read(self, prompt: ImagePrompt) -> ImageTokens:
        """Return the tokens of an image prompt, made once."""
        pixels = np.stack([self._pixels(image, prompt.resize) for image in prompt.images])
        negative = None
        if prompt.negative is not None:
            negative = self._pixels(prompt.negative, prompt.resize)[None]
        combine = COMBINATIONS.find(prompt.combine).name
        blank = b"" if negative is None else negative.tobytes()
        key = combine, len(pixels), hashlib.sha256(pixels.tobytes() + blank).digest()
        if key not in self.known:
            while len(self.known) >= _MOST_KNOWN:
                self.known.pop(next(iter(self.known)))
            with self.device.region("image prompt"):
                self.known[key] = self._make(pixels, negative, combine)
        return self.known[key]

    def _pixels(self, image: Image.Image, resize: str) -> Array:
        return encoder_pixels(image, self.encoder.config.image_size, resize)

    def _make(self, pixels: Array, negative: Array | None, combine: str) -> ImageTokens:
        encoded = _combine(self._encode(pixels), combine)
        if negative is not None:
            blank = self._encode(negative)
        elif self.config.reads_states:
            # Zeros after normalisation, as in the authors' pipelines: a picture in CLIP's mean.
            blank = self._encode(np.zeros_like(pixels[:1]))
        else:
            blank = np.zeros_like(encoded[:1])
        both = np.concatenate([encoded, np.repeat(blank, len(encoded), 0)])
        tokens = self.network.tokens(self._upload(both))
        rows, count, width = tokens.shape
        halves = tokens.view((2, rows // 2 * count, width))
        return ImageTokens(slice_axis(halves, 0, 0, 1), slice_axis(halves, 0, 1, 2))

    def _encode(self, pixels: Array) -> Array:
        """Return what the encoder makes of pictures (B, side, side, 3)."""
        patches = self._upload(cut_patches(pixels, self.encoder.config.patch_size))
        network = self.encoder.network
        found = network(patches) if self.config.reads_states else network.embed(patches)
        return np.asarray(cast(found, f32).read(), np.float32)

    def _upload(self, array: Array) -> Activations:
        result: Activations = self.device.buffer_from_array(array, self.dtype)
        return result


def _combine(encoded: Array, combine: str) -> Array:
    """Return one row for all pictures, or the rows as they are.

    (cubiq/ComfyUI_IPAdapter_plus, IPAdapterPlus.py; its norm is over the pictures, too.)
    """
    if combine == "concat" or len(encoded) == 1:
        return encoded
    if combine == "add":
        joint = np.sum(encoded, 0, keepdims=True)
    elif combine == "subtract":
        joint = encoded[:1] - np.mean(encoded[1:], 0, keepdims=True)
    elif combine == "average":
        joint = np.mean(encoded, 0, keepdims=True)
    else:
        norms = np.sqrt(np.sum(encoded**2, 0, keepdims=True))
        shares = np.divide(encoded, norms, out=np.zeros_like(encoded), where=norms > 0)
        joint = np.mean(shares, 0, keepdims=True)
    return np.asarray(joint, np.float32)
