"""Image to image: the picture that sampling starts from, and the parts of it that are kept."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from diffusion.checks import check_network, check_number
from diffusion.errors import SettingsError
from diffusion.images import MOST_PIXELS, to_rgb
from diffusion.tasks.colour_matching import match_colours
from diffusion.tasks.inpaint import AREAS, CONTENTS, Box, Inpaint, box_around_mask, fill_masked
from diffusion.tasks.resizing import RESIZE_MODES, check_size, drawn_size, fit_image
from gpustd.matmul.conv import Wrap

__all__ = ["InitImage", "PreparedImage"]

MOST_NOISE = 10


@dataclass(frozen=True)
class PreparedImage:
    """An init image at the size that is drawn.

    ``image``: RGB, to be encoded. ``mask``: L of that size, white where it is drawn anew; None for
    all. ``original``: the picture that the result is laid over, through ``overlay`` (L). ``box``:
    the result's place in it; None where that is all of it. ``latents``: the size in pixels that its
    latents are resized to; None for its own. ``keeps_colours``: the result gets those of ``image``.
    """

    image: Image.Image
    mask: Image.Image | None = None
    original: Image.Image | None = None
    overlay: Image.Image | None = None
    box: Box | None = None
    latents: tuple[int, int] | None = None
    keeps_colours: bool = False

    def compose(self, drawn: Image.Image) -> Image.Image:
        """Return ``drawn`` with the original's pixels where nothing was to be drawn.

        Its colours are matched before, where that was chosen.
        """
        if self.keeps_colours:
            drawn = match_colours(drawn, self.image)
        if self.original is None or self.overlay is None:
            return drawn
        placed = drawn
        if self.box is not None:
            left, top, right, bottom = self.box
            placed = self.original.copy()
            size = (right - left, bottom - top)
            placed.paste(drawn.resize(size, Image.Resampling.LANCZOS), (left, top))
        return Image.composite(placed, self.original, self.overlay)


@dataclass(frozen=True)
class InitImage:
    """A picture to start from.

    Args:
        image: the picture, of any mode that `diffusion.images` takes.
        strength: how much of it is drawn anew, 0 to 1. The last int(strength n) + 1 of n steps
            are made, n at most, as the WebUI does; diffusers makes int(strength n).
        resize: how it comes to the size drawn: ``stretch``, ``crop``, ``fill`` or ``pad``. With
            ``pad`` its pixels stay and are continued to multiples of 8, and the result is cut back.
            ``latent`` encodes it as it is and resizes its latents.
        inpaint: which part of it is drawn; None for all.
        upscaler: the network that enlarges it first, where it is smaller than the size drawn: a
            name in the pipeline's folder, or a path. None for Lanczos alone.
        noise: a factor of the noise that is laid over it; the WebUI's noise multiplier.
        keep_colours: whether the result gets the colours of what is drawn on, its luminosity aside;
            the WebUI's colour correction.
    """

    image: Image.Image
    strength: float = 0.75
    resize: str = "stretch"
    inpaint: Inpaint | None = None
    upscaler: str | Path | None = None
    noise: float = 1.0
    keep_colours: bool = False

    def check(self) -> None:
        """Raise `SettingsError` for the first setting that is out of range."""
        if not isinstance(self.image, Image.Image):
            raise SettingsError("image", self.image, "give a picture")
        if self.image.width * self.image.height > MOST_PIXELS:
            size = f"{self.image.width}x{self.image.height}"
            raise SettingsError("image", size, f"at most {MOST_PIXELS} pixels are read")
        check_number("strength", self.strength, 0, 1)
        check_number("noise", self.noise, 0, MOST_NOISE)
        mode = RESIZE_MODES.find(self.resize).name
        if self.inpaint is not None:
            self.inpaint.check()
        if self.upscaler is not None:
            check_network("upscaler", self.upscaler)
            if self.inpaint is not None or mode in ("pad", "latent"):
                hint = "must not be given with a mask, with padding, or where latents are resized"
                raise SettingsError("upscaler", str(self.upscaler), hint)

    def check_size(self, size: tuple[int, int]) -> None:
        """Raise `SettingsError` where the picture cannot be brought to a drawn ``size``."""
        if not self.only_masked:
            check_size(self.image, size, self.resize)
            if self.inpaint is not None and self._resizes_latents and size != self.image.size:
                hint = "a mask needs the picture's own size, or area masked, or another resize mode"
                raise SettingsError("resize", self.resize, hint)

    def check_seamless(self, axes: Wrap) -> None:
        """Raise `SettingsError` where the result's edges are not those of the drawn picture."""
        if axes and self.only_masked:
            raise SettingsError(
                "seamless", axes, "a box around the mask is drawn; choose area whole"
            )
        pads = RESIZE_MODES.find(self.resize).name == "pad"
        if axes and pads and self.image.size != drawn_size(self.image, "pad"):
            hint = "what pads the picture to multiples of 8 is cut off again; give a size"
            raise SettingsError("seamless", axes, hint)

    @property
    def _resizes_latents(self) -> bool:
        return RESIZE_MODES.find(self.resize).name == "latent"

    @property
    def only_masked(self) -> bool:
        """Tell whether only a box around the mask is drawn."""
        return self.inpaint is not None and AREAS.find(self.inpaint.area).name == "masked"

    def size(self) -> tuple[int, int] | None:
        """Return the size drawn where none is chosen: the picture's; None for the model's."""
        return None if self.only_masked else drawn_size(self.image, self.resize)

    def prepare(self, size: tuple[int, int]) -> PreparedImage:
        """Resize, crop and fill the picture for a drawn ``size`` (width, height).

        Raises `SettingsError`.
        """
        return replace(self._prepare(size), keeps_colours=self.keep_colours)

    def _prepare(self, size: tuple[int, int]) -> PreparedImage:
        image = to_rgb(self.image)
        if self.inpaint is None and self._resizes_latents:
            return PreparedImage(fit_image(image, drawn_size(image), "stretch"), latents=size)
        if self.inpaint is None:
            resized = fit_image(image, size, self.resize)
            overlay = Image.new("L", size, 255)
            return self._cut_back(PreparedImage(resized, None, resized, overlay), image)
        soft = self.inpaint.soft_mask(image.size)
        if self.only_masked:
            box = box_around_mask(soft, self.inpaint.padding, size)
            resized, mask = (fit_image(each.crop(box), size, "fill") for each in (image, soft))
            prepared = PreparedImage(resized, mask, image, soft, box)
        else:
            resized, mask = (fit_image(each, size, self.resize) for each in (image, soft))
            # The soft edge lies outside the mask: where it is half, the result counts wholly.
            overlay = mask.point([min(2 * level, 255) for level in range(256)])
            prepared = self._cut_back(PreparedImage(resized, mask, resized, overlay), image)
        if CONTENTS.find(self.inpaint.content).name == "original":
            return prepared
        return replace(prepared, image=fill_masked(resized, mask))

    def _cut_back(self, prepared: PreparedImage, image: Image.Image) -> PreparedImage:
        """Return ``prepared`` with its result cut to the size of a padded ``image``."""
        if RESIZE_MODES.find(self.resize).name != "pad" or prepared.overlay is None:
            return prepared
        overlay = prepared.overlay.crop((0, 0, *image.size))
        box = (0, 0, *prepared.image.size)
        return replace(prepared, original=image, overlay=overlay, box=box)
