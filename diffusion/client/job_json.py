"""From `Settings` to the JSON of a job: what differs from the defaults, with pictures as PNG."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Final

from PIL import Image

from diffusion.control import Control
from diffusion.errors import SettingsError
from diffusion.images import to_rgb
from diffusion.settings import Settings

__all__ = ["Drawing", "encode_picture", "job_body"]

Drawing = str | Settings | Mapping[str, object]
"""A prompt alone, which draws a random seed; settings; or the JSON of a job itself."""

_SENT_MODES: Final = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
_NOT_SENT: Final = {
    "inversions": "files of words lie on the server; write the word in the prompt",
    "embeddings": "embeddings cannot be sent; send the prompt",
    "latents": "latents cannot be sent; send a seed",
    "loras": "adapters lie on the server; name them in the prompt, as <lora:name:1>",
}


def job_body(drawing: Drawing, model: str | None, preview_every: int | None) -> dict[str, object]:
    """Return the JSON of a job. Raises `SettingsError` for what cannot be sent."""
    if isinstance(drawing, str):
        body: dict[str, object] = {"prompt": drawing}
    elif isinstance(drawing, Settings):
        drawing.check()
        body = {"prompt": drawing.prompt, "seed": drawing.seed, **_changed_fields(drawing)}
    else:
        body = dict(drawing)
    chosen = {"model": model, "preview_every": preview_every}
    return body | {name: value for name, value in chosen.items() if value is not None}


def _changed_fields(record: Any) -> dict[str, object]:
    """Return the fields of a dataclass that differ from their defaults, as JSON."""
    plain = type(record)
    found = {}
    for each in fields(record):
        value = getattr(record, each.name)
        if each.name in _NOT_SENT:
            if value is not None and value != ():
                raise SettingsError(each.name, type(value).__name__, _NOT_SENT[each.name])
        elif not hasattr(plain, each.name) or value != getattr(plain, each.name):
            found[each.name] = _as_json(each.name, value)
    return found


def _as_json(name: str, value: object) -> object:
    if isinstance(value, Image.Image):
        return encode_picture(value)
    if is_dataclass(value) and not isinstance(value, type) and name not in ("sampler", "schedule"):
        return _changed_fields(value)
    if name == "controls":
        assert isinstance(value, tuple)
        return [_control_fields(each) for each in value]
    if isinstance(value, tuple | list):
        return list(value)
    if value is None or isinstance(value, str | int | float):
        return value
    raise SettingsError(name, type(value).__name__, "must be a name: only names can be sent")


def _control_fields(control: Control) -> dict[str, object]:
    """Return the fields of a control. Raises `SettingsError` for a path, which cannot be sent."""
    if control.is_path:
        hint = "control networks lie on the server; give a name of `control_models`"
        raise SettingsError("control model", str(control.model), hint)
    return {"model": str(control.model), **_changed_fields(control)}


def encode_picture(image: Image.Image) -> str:
    """Return a picture as base64 of a PNG, without its texts."""
    sent = image if image.mode in _SENT_MODES else to_rgb(image)
    file = io.BytesIO()
    sent.save(file, "PNG", pnginfo=None, exif=b"", compress_level=1)
    return base64.b64encode(file.getvalue()).decode()
