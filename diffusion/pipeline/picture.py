"""A drawn picture, which keeps its settings when it is saved."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, TypeAlias

from PIL import Image

from diffusion.infotext.files import FORMATS, text_options
from diffusion.settings import Settings

__all__ = ["Picture"]

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
