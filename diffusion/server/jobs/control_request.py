"""A request's pictures that lead a drawing through control networks."""

from __future__ import annotations

import base64
import struct
from collections.abc import Sequence
from typing import Any, Final

from PIL import Image
from pydantic import Field

from diffusion.control import Control
from diffusion.errors import SettingsError
from diffusion.images import decode_image
from diffusion.server.jobs.fields import Finite, Part, Picture
from diffusion.server.pictures import read_upload

__all__ = [
    "MOST_CONTROL_PIXELS",
    "ControlRequest",
    "PictureCleaner",
    "clean_controls",
    "decode_part",
    "plain_name",
]

MOST_CONTROL_PIXELS: Final = 1 << 25
"""Pixels of all pictures that lead or prompt one drawing; a job keeps them until it is done."""

_PICTURES: Final = ("image", "region", "mask")
_END: Final = ".safetensors"


class ControlRequest(Part):
    """A picture that leads a drawing; fields as in `diffusion.control.Control`."""

    model: str = Field(description="A name or title of GET /api/v1/control-models.")
    image: Picture | None = None
    preprocessor: str = "none"
    weight: Finite = 1.0
    start: Finite = 0.0
    end: Finite = 1.0
    mode: str = "balanced"
    resize: str = "crop"
    region: Picture | None = None
    mask: Picture | None = None
    resolution: int | None = None
    threshold_a: Finite | None = None
    threshold_b: Finite | None = None
    layer_weights: list[Finite] = Field(default=[], max_length=100)
    passes: str = "both"
    kind: str | None = None

    def task(self) -> Control:
        """Return it as the pipeline takes it. Its pictures must be from `clean_controls`.

        What `Control` would read as a path is a name here.
        """
        given: dict[str, Any] = self.model_dump(exclude={*_PICTURES, "layer_weights", "model"})
        for field in _PICTURES:
            given[field] = decode_part(getattr(self, field), f"control {field}")
        return Control(plain_name(self.model), layer_weights=tuple(self.layer_weights), **given)


def plain_name(model: str) -> str:
    """Return the name of a network without the end of a file, which would make it a path."""
    while model.lower().rstrip().endswith(_END):
        model = model.rstrip()[: -len(_END)]
    return model


class PictureCleaner:
    """Writes pictures of a request anew, as long as they are not too large together."""

    def __init__(self) -> None:
        self._pixels = 0

    def clean(self, picture: str, field: str) -> str:
        """Return a picture, written anew. Raises `SettingsError`."""
        clean = read_upload(picture, field)
        width, height = _size(clean)
        self._pixels += width * height
        if self._pixels > MOST_CONTROL_PIXELS:
            hint = f"must be at most {MOST_CONTROL_PIXELS} pixels in all; send smaller ones"
            raise SettingsError("control pictures", f"over {self._pixels} pixels", hint)
        return clean


def clean_controls(
    controls: Sequence[ControlRequest], cleaner: PictureCleaner | None = None
) -> list[ControlRequest]:
    """Return controls with their pictures written anew. Raises `SettingsError`."""
    cleaner = cleaner or PictureCleaner()
    cleaned = []
    for each in controls:
        changes: dict[str, object] = {
            field: cleaner.clean(picture, f"control {field}")
            for field in _PICTURES
            if (picture := getattr(each, field)) is not None
        }
        cleaned.append(each.model_copy(update=changes))
    return cleaned


def _size(picture: str) -> tuple[int, int]:
    """Return the size of a PNG, which stands in its first 24 bytes."""
    return struct.unpack(">II", base64.b64decode(picture[:32])[16:24])


def decode_part(picture: str | None, field: str) -> Image.Image | None:
    """Return a picture that `PictureCleaner` wrote; None for none."""
    if picture is None:
        return None
    return decode_image(base64.b64decode(picture), field)
