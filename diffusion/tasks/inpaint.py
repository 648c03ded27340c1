"""Inpainting: which part of a picture is drawn anew, and from what.

The choices are the WebUI's: masked content, inpaint area, mask blur, mask mode.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageOps

from diffusion.catalogue import Catalogue
from diffusion.checks import check_integer, check_number
from diffusion.errors import SettingsError
from diffusion.images import to_mask
from diffusion.tasks.choices import Choice

__all__ = ["AREAS", "CONTENTS", "Box", "Inpaint", "box_around_mask", "fill_masked", "latent_mask"]

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels; the last two are not included."""

CONTENTS: Final = Catalogue(
    "content",
    [
        Choice("fill", "fill"),
        Choice("original", "original"),
        Choice("latent_noise", "latent noise"),
        Choice("latent_nothing", "latent nothing"),
    ],
)
AREAS: Final = Catalogue(
    "area",
    [
        Choice("whole", "Whole picture"),
        Choice("masked", "Only masked"),
    ],
)
MOST_BLUR: Final = 64
MOST_PADDING: Final = 1024
FILLING: Final = ((256, 1), (64, 1), (16, 2), (4, 4), (2, 2), (0, 1))
"""Radii of blur, widest first, and how often each layer is laid on (the WebUI's)."""


@dataclass(frozen=True)
class Inpaint:
    """The part of a picture that is drawn anew.

    Args:
        mask: as large as the picture; white (128 and above; or opaque, where alpha varies) is
            drawn anew, black stays.
        blur: deviation in pixels of the soft edge over which old and new are mixed.
        invert: draw what is black instead.
        content: what the masked part starts from: ``original``; ``fill``, colours from around it;
            ``latent_noise``; ``latent_nothing``. All but the first need a strength near 1.
        area: ``whole``; or ``masked``, only a box around the mask, drawn at full size and put back.
        padding: pixels that the box is larger than the mask, on each side.
        blur_down: the deviation from row to row, where it is another than ``blur``.
        soft: mix latents by the soft edge's own levels, rather than by 0 and 1.
    """

    mask: Image.Image
    blur: float = 4.0
    invert: bool = False
    content: str = "original"
    area: str = "whole"
    padding: int = 32
    blur_down: float | None = None
    soft: bool = False

    def check(self) -> None:
        """Raise `SettingsError` for the first setting that is out of range."""
        if not isinstance(self.mask, Image.Image):
            raise SettingsError("mask", self.mask, "give a picture")
        check_number("blur", self.blur, 0, MOST_BLUR)
        check_number("blur_down", self.blur_down, 0, MOST_BLUR)
        check_integer("padding", self.padding, 0, MOST_PADDING)
        CONTENTS.find(self.content)
        AREAS.find(self.area)

    def soft_mask(self, size: tuple[int, int]) -> Image.Image:
        """Return the mask as L, inverted and blurred as chosen.

        Raises `SettingsError` where it is not of ``size`` or leaves nothing to draw.
        """
        if self.mask.size != size:
            given, needed = ("{}x{}".format(*sides) for sides in (self.mask.size, size))
            raise SettingsError("mask", given, f"give one as large as the picture, {needed}")
        mask = to_mask(self.mask)
        if self.invert:
            mask = ImageOps.invert(mask)
        if mask.getextrema() == (0, 0):
            raise SettingsError(
                "mask", "empty", "make it white where the picture is to be drawn, or invert it"
            )
        radii = self.blur, self.blur if self.blur_down is None else self.blur_down
        return mask.filter(ImageFilter.GaussianBlur(radii)) if any(radii) else mask


def box_around_mask(mask: Image.Image, padding: int, size: tuple[int, int]) -> Box:
    """Return the box around a mask, padded, then widened towards the aspect ratio of ``size``.

    It stays within the mask's picture, so it may not reach that ratio.
    """
    box = mask.getbbox()
    assert box is not None, "an empty mask is refused before"
    spans = [(box[axis] - padding, box[axis + 2] + padding) for axis in range(2)]
    spans = [
        (max(low, 0), min(high, most)) for (low, high), most in zip(spans, mask.size, strict=True)
    ]
    width, height = (high - low for low, high in spans)
    extents = max(width, height * size[0] / size[1]), max(height, width * size[1] / size[0])
    (left, right), (top, bottom) = (
        _widen_span(span, round(extent), most)
        for span, extent, most in zip(spans, extents, mask.size, strict=True)
    )
    return left, top, right, bottom


def _widen_span(span: tuple[int, int], extent: int, most: int) -> tuple[int, int]:
    """Make a span ``extent`` long about its middle, then move it to lie within 0 .. ``most``."""
    extent = min(extent, most)
    low = (span[0] + span[1] - extent) // 2
    low = min(max(low, 0), most - extent)
    return low, low + extent


def fill_masked(image: Image.Image, mask: Image.Image) -> Image.Image:
    """Fill the masked part of ``image`` with the colours around it.

    The unmasked part is blurred with falling radii, each layer laid over the last, so that near
    colours win over far ones.
    """
    clear = image.convert("RGBA")
    clear.putalpha(ImageOps.invert(mask))
    premultiplied = clear.convert("RGBa")
    layers = Image.new("RGBA", image.size)
    for radius, repeats in FILLING:
        blurred = premultiplied.filter(ImageFilter.GaussianBlur(radius)).convert("RGBA")
        for _ in range(repeats):
            layers.alpha_composite(blurred)
    return layers.convert("RGB")


def latent_mask(
    mask: Image.Image, size: tuple[int, int], *, soft: bool = False
) -> NDArray[np.float32]:
    """Return the mask at the latents' ``size`` (w, h): (h, w) f32 of 0, and 1 for drawn anew.

    ``soft``: the levels between them stay.
    """
    small = np.asarray(mask.resize(size, Image.Resampling.BICUBIC), np.float32)
    share: NDArray[np.float32] = small / np.float32(255)
    return share if soft else np.round(share)
