"""Image to image: the picture that sampling starts from, and how it comes back whole."""

from __future__ import annotations

from dataclasses import dataclass, replace

from PIL import Image

from diffusion.checks import check_number
from diffusion.errors import SettingsError
from diffusion.images import MOST_PIXELS, to_rgb
from diffusion.tasks.fitting import RESIZE_MODES, check_size, drawn_size, fit
from diffusion.tasks.inpaint import AREAS, CONTENTS, Box, Inpaint, filled, region
from gpustd.matmul.conv import Wrap

__all__ = ["Canvas", "Source"]


@dataclass(frozen=True)
class Canvas:
    """What is encoded and drawn on.

    ``image``: RGB of the drawn size. ``mask``: L of that size, what is drawn anew, or None for all.
    ``whole``: the picture that the result is laid over, through ``overlay`` (L); ``box``: the
    result's place in it, None where that is all of it.
    """

    image: Image.Image
    mask: Image.Image | None = None
    whole: Image.Image | None = None
    overlay: Image.Image | None = None
    box: Box | None = None

    def finished(self, drawn: Image.Image) -> Image.Image:
        """``drawn`` as the caller gets it: old pixels where nothing was to be drawn."""
        if self.whole is None or self.overlay is None:
            return drawn
        placed = drawn
        if self.box is not None:
            left, top, right, bottom = self.box
            placed = self.whole.copy()
            size = (right - left, bottom - top)
            placed.paste(drawn.resize(size, Image.Resampling.LANCZOS), (left, top))
        return Image.composite(placed, self.whole, self.overlay)


@dataclass(frozen=True)
class Source:
    """A picture to start from.

    Args:
        image: the picture, of any mode that `diffusion.images` takes.
        strength: how much of it is drawn anew, 0 to 1. Of n steps the last int(strength n) + 1
            are made, n at most, as the WebUI does; diffusers makes int(strength n).
        resize: how it comes to the size drawn: ``stretch``, ``crop`` or ``fill``; or ``pad``: its
            pixels stay, are continued to multiples of 8, and the result is cut back.
        inpaint: which part of it is drawn; None for all.
    """

    image: Image.Image
    strength: float = 0.75
    resize: str = "stretch"
    inpaint: Inpaint | None = None

    def check(self) -> None:
        """Raise `SettingsError` for the first setting that cannot be."""
        if not isinstance(self.image, Image.Image):
            raise SettingsError("image", self.image, "give a picture")
        if self.image.width * self.image.height > MOST_PIXELS:
            size = f"{self.image.width}x{self.image.height}"
            raise SettingsError("image", size, f"at most {MOST_PIXELS} pixels are read")
        check_number("strength", self.strength, 0, 1)
        RESIZE_MODES.find(self.resize)
        if self.inpaint is not None:
            self.inpaint.check()

    def check_size(self, size: tuple[int, int]) -> None:
        """Raise `SettingsError` where the picture cannot come to a drawn ``size``."""
        if not self.only_masked:
            check_size(self.image, size, self.resize)

    def check_seamless(self, axes: Wrap) -> None:
        """Raise `SettingsError` where the result's edges are not those of what is drawn."""
        if axes and self.only_masked:
            raise SettingsError("seamless", axes, "a box around the mask is drawn; area whole")
        pads = RESIZE_MODES.find(self.resize).name == "pad"
        if axes and pads and self.image.size != drawn_size(self.image, "pad"):
            hint = "what pads the picture to multiples of 8 is cut off again; give a size"
            raise SettingsError("seamless", axes, hint)

    @property
    def only_masked(self) -> bool:
        """Tell whether a box around the mask is drawn, and not the picture."""
        return self.inpaint is not None and AREAS.find(self.inpaint.area).name == "masked"

    def size(self) -> tuple[int, int] | None:
        """The size drawn where none is chosen: the picture's; None for the model's."""
        return None if self.only_masked else drawn_size(self.image, self.resize)

    def canvas(self, size: tuple[int, int]) -> Canvas:
        """Prepare everything that is done to pictures before the first step.

        ``size``: drawn width and height. Raises `SettingsError`.
        """
        image = to_rgb(self.image)
        if self.inpaint is None:
            part = fit(image, size, self.resize)
            return _cut_back(
                Canvas(part, None, part, Image.new("L", size, 255)), image, self.resize
            )
        soft = self.inpaint.soft_mask(image.size)
        if self.only_masked:
            box = region(soft, self.inpaint.padding, size)
            part, mask = (fit(each.crop(box), size, "fill") for each in (image, soft))
            canvas = Canvas(part, mask, image, soft, box)
        else:
            part, mask = (fit(each, size, self.resize) for each in (image, soft))
            # The edge lies outside the mask: where it was half, the result counts wholly.
            overlay = mask.point([min(2 * level, 255) for level in range(256)])
            canvas = _cut_back(Canvas(part, mask, part, overlay), image, self.resize)
        if CONTENTS.find(self.inpaint.content).name == "original":
            return canvas
        return Canvas(filled(part, mask), mask, canvas.whole, canvas.overlay, canvas.box)


def _cut_back(canvas: Canvas, image: Image.Image, resize: str) -> Canvas:
    """``canvas``, its result cut to the size of a padded ``image``."""
    if RESIZE_MODES.find(resize).name != "pad" or canvas.overlay is None:
        return canvas
    overlay = canvas.overlay.crop((0, 0, *image.size))
    return replace(canvas, whole=image, overlay=overlay, box=(0, 0, *canvas.image.size))
