"""From `Settings` to the JSON of a job: what differs from the defaults, with pictures as PNG."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Final

from PIL import Image

from diffusion.control import Control, ImagePrompt
from diffusion.errors import SettingsError
from diffusion.images import to_rgb
from diffusion.settings import Settings

__all__ = ["Drawing", "Models", "encode_picture", "job_body"]

Drawing = str | Settings | Mapping[str, object]
"""A prompt alone, which draws a random seed; settings; or the JSON of a job itself."""

_SENT_MODES: Final = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
_NOT_SENT: Final = {
    "inversions": "files of words lie on the server; write the word in the prompt",
    "embeddings": "embeddings cannot be sent; send the prompt",
    "latents": "latents cannot be sent; send a seed",
    "loras": "adapters lie on the server; name them in the prompt, as <lora:name:1>",
}


@dataclass(frozen=True)
class Models:
    """The networks that draw a job, by names on the server; None for the usual ones.

    ``vae``: in place of the model's own, one of `vaes`. ``refiner``: a model that makes the steps
    after the share ``switch``. ``hires``: a model of the second pass of hires fix.
    """

    model: str | None = None
    vae: str | None = None
    refiner: str | None = None
    switch: float = 0.8
    hires: str | None = None


def job_body(
    drawing: Drawing, model: str | Models | None, preview_every: int | None
) -> dict[str, object]:
    """Return the JSON of a job. Raises `SettingsError` for what cannot be sent."""
    if isinstance(drawing, str):
        body: dict[str, object] = {"prompt": drawing}
    elif isinstance(drawing, Settings):
        drawing.check()
        body = {"prompt": drawing.prompt, "seed": drawing.seed, **_changed_fields(drawing)}
    else:
        body = dict(drawing)
    models = model if isinstance(model, Models) else Models(model)
    chosen: dict[str, object] = {
        "model": models.model,
        "vae": models.vae,
        "preview_every": preview_every,
    }
    if models.refiner is not None:
        chosen["refiner"] = {"model": models.refiner, "switch": models.switch}
    if models.hires is not None:
        second = body.get("hires")
        if not isinstance(second, Mapping):
            hint = "is for the second pass; give hires, too"
            raise SettingsError("hires model", models.hires, hint)
        chosen["hires"] = {**second, "model": models.hires}
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
    if name == "image_prompts":
        assert isinstance(value, tuple)
        return [_image_prompt_fields(each) for each in value]
    if name == "images":
        assert isinstance(value, tuple)
        return [encode_picture(each) for each in value]
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


def _image_prompt_fields(prompt: ImagePrompt) -> dict[str, object]:
    """Return the fields of an image prompt. Raises `SettingsError` for a path."""
    names = prompt.names
    if len(names) < 2 - (prompt.encoder is None):
        hint = "IP-Adapters and their encoders lie on the server; give a name of `control_models`"
        raise SettingsError("ip adapter", str(prompt.model), hint)
    return {"model": str(prompt.model), **_changed_fields(prompt)}


def encode_picture(image: Image.Image) -> str:
    """Return a picture as base64 of a PNG, without its texts."""
    sent = image if image.mode in _SENT_MODES else to_rgb(image)
    file = io.BytesIO()
    sent.save(file, "PNG", pnginfo=None, exif=b"", compress_level=1)
    return base64.b64encode(file.getvalue()).decode()
