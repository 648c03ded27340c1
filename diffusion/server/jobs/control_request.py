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

__all__ = ["MOST_CONTROL_PIXELS", "ControlRequest", "clean_controls", "plain_name"]

MOST_CONTROL_PIXELS: Final = 1 << 25
"""Pixels of all pictures of a request's controls together; a job keeps them until it is done."""

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
            text = getattr(self, field)
            given[field] = None if text is None else _decode(text, f"control {field}")
        return Control(plain_name(self.model), layer_weights=tuple(self.layer_weights), **given)


def plain_name(model: str) -> str:
    """Return the name of a network without the end of a file, which would make it a path."""
    while model.lower().rstrip().endswith(_END):
        model = model.rstrip()[: -len(_END)]
    return model


def clean_controls(controls: Sequence[ControlRequest]) -> list[ControlRequest]:
    """Return controls with their pictures written anew. Raises `SettingsError`."""
    cleaned, pixels = [], 0
    for each in controls:
        changes: dict[str, object] = {}
        for field in _PICTURES:
            if getattr(each, field) is not None:
                changes[field] = picture = read_upload(getattr(each, field), f"control {field}")
                width, height = _size(picture)
                pixels += width * height
                if pixels > MOST_CONTROL_PIXELS:
                    hint = f"must be at most {MOST_CONTROL_PIXELS} pixels in all; send smaller ones"
                    raise SettingsError("control pictures", f"over {pixels} pixels", hint)
        cleaned.append(each.model_copy(update=changes))
    return cleaned


def _size(picture: str) -> tuple[int, int]:
    """Return the size of a PNG, which stands in its first 24 bytes."""
    return struct.unpack(">II", base64.b64decode(picture[:32])[16:24])


def _decode(picture: str, field: str) -> Image.Image:
    return decode_image(base64.b64decode(picture), field, "the picture")
