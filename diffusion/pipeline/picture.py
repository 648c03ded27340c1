"""A drawn picture, which keeps its settings when it is saved, and methods that draw some."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO, Any, TypeAlias

from PIL import Image

from diffusion.infotext.files import FORMATS, text_options
from diffusion.pipeline.arguments import PictureLike, Size, as_image, prompt_settings
from diffusion.pipeline.events import Step
from diffusion.pipeline.worker_thread import in_thread
from diffusion.samplers import SamplerChoice
from diffusion.settings import Settings
from diffusion.tasks import InitImage, Inpaint

__all__ = ["Picture", "PictureMethods"]

FileLike: TypeAlias = str | bytes | os.PathLike[str] | os.PathLike[bytes] | IO[bytes]


class Picture(Image.Image):
    """A Pillow image with the settings that drew it.

    `save` writes them into PNG, JPEG and WebP files, where this program and others of the field
    read them. What Pillow's methods make of it (``resize``, ``crop``, …) are plain images.

    Attributes:
        settings: complete, of the run that it belongs to.
        seed: its own.
    """

    settings: Settings
    seed: int
    _text: str | Callable[[], str]

    @classmethod
    def of(
        cls, image: Image.Image, settings: Settings, seed: int, text: str | Callable[[], str]
    ) -> Picture:
        """Return ``image`` with settings; ``text``: its infotext, or a function that returns it."""
        picture = cls()
        picture.__setstate__(Image.Image.__getstate__(image))
        picture.settings, picture.seed, picture._text = settings, seed, text
        return picture

    @property
    def infotext(self) -> str:
        """The settings as text, in the form that the WebUI writes."""
        if callable(self._text):
            self._text = self._text()
        return self._text

    def save(
        self,
        fp: FileLike,
        format: str | None = None,  # noqa: A002 - Pillow's own name
        **params: Any,
    ) -> None:
        """Write the picture as Pillow does, with its settings in PNG, JPEG and WebP files.

        ``pnginfo`` or ``exif`` among the parameters takes the settings' place.
        """
        kind = (format or FORMATS.get(_suffix(fp), "")).upper()
        kind = "JPEG" if kind == "JPG" else kind
        if kind in FORMATS.values() and not {"pnginfo", "exif"} & params.keys():
            params = {**text_options(kind, self.infotext), **params}
        super().save(fp, format, **params)

    def __reduce__(self) -> tuple[Callable[..., Picture], tuple[object, ...]]:
        image = Image.new("RGB", (1, 1))
        image.__setstate__(self.__getstate__())
        return Picture.of, (image, self.settings, self.seed, self.infotext)


def _suffix(fp: FileLike) -> str:
    """Return the suffix of a file's name in small letters; nothing for an open file."""
    if not isinstance(fp, str | bytes | os.PathLike):
        return ""
    return Path(os.fsdecode(fp)).suffix.lower()


class PictureMethods:
    """Methods that draw pictures from few arguments, for a class that has `images`."""

    def images(
        self, settings: Settings, on_step: Callable[[Step], None] | None = None
    ) -> Iterator[Picture]:
        """Yield the pictures one by one."""
        raise NotImplementedError

    def draw(
        self, settings: Settings, on_step: Callable[[Step], None] | None = None
    ) -> list[Picture]:
        """Return the pictures of `images`. Raises `SettingsError`."""
        return list(self.images(settings, on_step))

    def txt2img(
        self,
        prompt: str,
        *,
        negative: str = "",
        size: Size = None,
        steps: int | None = None,
        guidance: float | None = None,
        sampler: SamplerChoice | None = None,
        seed: int | None = 0,
    ) -> Picture:
        """Draw one picture from text; see `Settings` for all that can be chosen.

        ``size``: (width, height), or one number for a square. ``seed``: None takes a random one.
        """
        return self.draw(prompt_settings(prompt, negative, size, steps, guidance, sampler, seed))[0]

    def img2img(
        self,
        image: PictureLike,
        prompt: str,
        *,
        strength: float = 0.75,
        negative: str = "",
        steps: int | None = None,
        guidance: float | None = None,
        seed: int | None = 0,
    ) -> Picture:
        """Draw one picture that starts from another; see `InitImage` for more choices.

        ``image``: a Pillow image, a file's path, or an array (H, W), (H, W, 3) or (H, W, 4) of u8,
        or of floats from 0 to 1.
        """
        init_image = InitImage(as_image(image), strength)
        return self._draw_from(init_image, prompt, negative, steps, guidance, seed)

    def inpaint(
        self,
        image: PictureLike,
        mask: PictureLike,
        prompt: str,
        *,
        strength: float = 0.75,
        negative: str = "",
        steps: int | None = None,
        guidance: float | None = None,
        seed: int | None = 0,
    ) -> Picture:
        """Draw a picture anew where ``mask`` is white; see `Inpaint` for more choices.

        ``image`` and ``mask``: as in `img2img`.
        """
        inpaint = Inpaint(as_image(mask, "mask"))
        init_image = InitImage(as_image(image), strength, "pad", inpaint=inpaint)
        return self._draw_from(init_image, prompt, negative, steps, guidance, seed)

    def _draw_from(
        self,
        init_image: InitImage,
        prompt: str,
        negative: str,
        steps: int | None,
        guidance: float | None,
        seed: int | None,
    ) -> Picture:
        settings = prompt_settings(prompt, negative, None, steps, guidance, None, seed)
        return self.draw(replace(settings, init_image=init_image))[0]

    async def aimages(self, settings: Settings) -> AsyncGenerator[Picture]:
        """Yield the pictures of `images` in an event loop, which goes on meanwhile.

        The work runs in a thread. Cancelling stops it after the step under way.
        """
        async with aclosing(in_thread(partial(self.images, settings))) as pictures:
            async for picture in pictures:
                yield picture

    async def adraw(self, settings: Settings) -> list[Picture]:
        """Return the pictures of `aimages`."""
        return [picture async for picture in self.aimages(settings)]

    async def atxt2img(
        self,
        prompt: str,
        *,
        negative: str = "",
        size: Size = None,
        steps: int | None = None,
        guidance: float | None = None,
        sampler: SamplerChoice | None = None,
        seed: int | None = 0,
    ) -> Picture:
        """Draw one picture from text as `txt2img` does, without blocking the event loop."""
        settings = prompt_settings(prompt, negative, size, steps, guidance, sampler, seed)
        return (await self.adraw(settings))[0]
