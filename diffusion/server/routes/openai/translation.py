"""From OpenAI's requests to jobs. Those with pictures decode them: call them on a thread."""

from __future__ import annotations

import base64
import io
from typing import Any, Final

from PIL import Image

from diffusion.errors import SettingsError
from diffusion.images import decode_image
from diffusion.server.jobs.request import InitImageRequest, InpaintRequest, JobRequest
from diffusion.server.routes.openai.requests import (
    DrawingBody,
    EditBody,
    GenerationBody,
    VariationBody,
)

__all__ = ["QUALITIES", "edit_job", "generation_job", "size_of", "variation_job"]

QUALITIES: Final = {
    "auto": ("medium", None),
    "low": ("low", 12),
    "medium": ("medium", None),
    "standard": ("medium", None),
    "high": ("high", 30),
    "hd": ("high", 30),
    "xhigh": ("xhigh", 50),
    "max": ("max", 100),
}
"""Name in answers, and steps; None for as many as the model takes by default."""
USUAL_STEPS: Final = 20
"""Steps that are assumed where the model chooses, to place partial pictures."""
FIDELITIES: Final = {"low": 0.75, "high": 0.5}
"""Strength by ``input_fidelity``, where the whole picture is edited."""
MASKED_STRENGTH: Final = 1.0
CLEAR: Final = 128
"""Alpha below which a pixel counts as transparent."""


def generation_job(body: GenerationBody) -> JobRequest:
    """Return the job of a body of ``generations``. Raises `SettingsError`."""
    return JobRequest(**_shared_fields(body), **_streaming(body, 1.0))


def edit_job(body: EditBody, image: bytes, mask: bytes | None) -> JobRequest:
    """Return the job of a form of ``edits`` and its files. Raises `SettingsError`.

    Without a mask, transparent parts of the picture are drawn anew; all where it has none.
    """
    drawn_anew = _mask(image, mask)
    usual = FIDELITIES[body.input_fidelity] if drawn_anew is None else MASKED_STRENGTH
    strength = usual if body.strength is None else body.strength
    content = "original" if mask is not None else "fill"
    inpaint = None if drawn_anew is None else InpaintRequest(mask=drawn_anew, content=content)
    init_image = InitImageRequest(
        image=_base64(image), strength=strength, resize="crop", inpaint=inpaint
    )
    return JobRequest(**_shared_fields(body), **_streaming(body, strength), init_image=init_image)


def variation_job(body: VariationBody, image: bytes) -> JobRequest:
    """Return the job of a form of ``variations`` and its file. Raises `SettingsError`."""
    init_image = InitImageRequest(image=_base64(image), strength=body.strength, resize="crop")
    return JobRequest(**_shared_fields(body), init_image=init_image)


def _shared_fields(body: GenerationBody | EditBody | VariationBody) -> dict[str, Any]:
    width, height = size_of(body.size) or (None, None)
    return {
        "prompt": body.prompt,
        "negative": body.negative_prompt,
        "model": body.model or None,  # some clients send "" for no choice
        "width": width,
        "height": height,
        "steps": _steps(body),
        "guidance": body.guidance,
        "sampler": body.sampler,
        "schedule": body.schedule,
        "seed": None if body.seed < 0 else body.seed,
        "count": body.n,
        "clip_skip": body.clip_skip,
    }


def size_of(size: str) -> tuple[int, int] | None:
    """Return the width and height of a size that was checked; None for ``auto``."""
    if size == "auto":
        return None
    width, _, height = size.partition("x")
    return int(width), int(height)


def _steps(body: DrawingBody) -> int | None:
    return QUALITIES[body.quality][1] if body.steps is None else body.steps


def _streaming(body: GenerationBody | EditBody, strength: float) -> dict[str, Any]:
    """Return when previews are drawn; ``strength``: the share of the steps that are made.

    A streamed picture is a batch of its own, since a preview shows a whole batch.
    """
    if not body.stream:
        return {}
    if not body.partial_images:
        return {"preview_every": 0, "batch": 1}
    steps = _steps(body) or USUAL_STEPS
    made = min(int(strength * steps) + 1, steps)
    return {"preview_every": max(1, made // (body.partial_images + 1)), "batch": 1}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _mask(image: bytes, mask: bytes | None) -> str | None:
    """Return a mask whose white parts are drawn anew, as base64; None where there is none.

    Raises `SettingsError` for a mask of another size, or one without transparent parts.
    """
    picture = decode_image(image, "image")
    given = picture if mask is None else decode_image(mask, "mask")
    if given.size != picture.size:
        hint = f"must be as large as the picture, {picture.width}x{picture.height}"
        raise SettingsError("mask", f"{given.width}x{given.height}", hint)
    clear = _clear_parts(given)
    if clear.getbbox() is None:
        if mask is None:
            return None
        hint = "must have transparent parts: they are drawn anew"
        raise SettingsError("mask", "an opaque picture", hint)
    file = io.BytesIO()
    clear.save(file, "PNG", compress_level=1)
    return _base64(file.getvalue())


def _clear_parts(image: Image.Image) -> Image.Image:
    """Return white where a picture is transparent, else black."""
    if not image.has_transparency_data:
        return Image.new("L", image.size, 0)
    alpha = image.convert("RGBA").getchannel("A")
    return alpha.point([255 if level < CLEAR else 0 for level in range(256)])
