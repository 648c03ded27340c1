"""Pictures enlarged by a network to a size."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from PIL import Image

from diffusion.images import to_rgb
from diffusion.tasks.seamless import resize_seamless
from diffusion.upscaling.network import UpscalerNetwork
from gpustd.matmul.conv import Wrap

__all__ = ["SplitPicture", "enlarge_image", "split_alpha"]

MOST_CALLS: Final = 3
"""Times that a network enlarges a picture, one after another, as in the WebUI."""


class SplitPicture(NamedTuple):
    """The colours of a picture as RGB, and its alpha (L) unless all is opaque."""

    colours: Image.Image
    alpha: Image.Image | None


def split_alpha(image: Image.Image) -> SplitPicture:
    """Return the colours and the alpha of a picture. Raises `SettingsError`.

    What is wholly transparent keeps the colour that it has in the file.
    """
    if "A" not in image.mode and "transparency" not in image.info:
        return SplitPicture(to_rgb(image), None)
    clear = image.convert("RGBA")
    alpha = clear.getchannel("A")
    if alpha.getextrema() == (255, 255):
        return SplitPicture(to_rgb(image), None)
    opaque = clear.convert("RGB")
    opaque.info["icc_profile"] = image.info.get("icc_profile")
    return SplitPicture(to_rgb(opaque), alpha)


def enlarge_image(
    image: Image.Image, size: tuple[int, int], upscaler: UpscalerNetwork, wrap: Wrap = ""
) -> Image.Image:
    """Return an RGB picture at ``size`` (width, height): by the network, then by Lanczos.

    The network enlarges it until it is as large as ``size``, at most three times; one of scale 1
    changes it once. Opposite edges meet along ``wrap``. Raises as `UpscalerNetwork.enlarge`.
    """
    pixels = np.asarray(image, np.float32) / np.float32(255)
    for _ in range(MOST_CALLS):
        pixels = np.clip(upscaler.enlarge(pixels, wrap), 0, 1)
        height, width, _ = pixels.shape
        if upscaler.scale == 1 or (width >= size[0] and height >= size[1]):
            break
    larger = Image.fromarray(np.round(pixels * 255).astype(np.uint8))
    if larger.size == size:
        return larger
    return resize_seamless(larger, size, Image.Resampling.LANCZOS, wrap)
