"""Answers with pictures, in OpenAI's form."""

from __future__ import annotations

import asyncio
import base64
import io
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from PIL import Image

from diffusion.server.jobs.job import Job, PictureRecord
from diffusion.server.pictures import convert_png
from diffusion.server.routes.openai.picture_names import LIFETIME, PictureName
from diffusion.server.routes.openai.requests import DrawingBody
from diffusion.server.routes.openai.translation import QUALITIES
from diffusion.server.services import Services

__all__ = ["AnswerForm", "file_of", "partial_fields", "picture_fields", "pictures_answer"]

USAGE: Final = {
    "input_tokens": 0,
    "input_tokens_details": {"image_tokens": 0, "text_tokens": 0},
    "output_tokens": 0,
    "output_tokens_details": {"image_tokens": 0, "text_tokens": 0},
    "total_tokens": 0,
}
"""Nothing is counted or billed here; clients read the fields."""


@dataclass(frozen=True)
class AnswerForm:
    """The form of an answer that a request asks for.

    ``address``: the URL that names of pictures follow; None for pictures as base64.
    """

    kind: str
    quality: int
    label: str
    person: str
    address: str | None

    @classmethod
    def of(cls, body: DrawingBody, address: str) -> AnswerForm:
        """Return the form that a body asks for; ``address``: for those that ask for URLs."""
        return cls(
            kind=body.output_format,
            quality=100 if body.output_compression is None else body.output_compression,
            label=QUALITIES[body.quality][0],
            person=body.safety_identifier or body.user,
            address=address if body.response_format == "url" else None,
        )

    @property
    def fields(self) -> Mapping[str, object]:
        """The fields that answers and events share."""
        return {"background": "opaque", "output_format": self.kind, "quality": self.label}

    @property
    def last_fields(self) -> Mapping[str, object]:
        """The fields that answers and the events of finished pictures share."""
        person = {"safety_identifier": self.person} if self.person else {}
        return {"usage": USAGE, **person}


async def pictures_answer(services: Services, job: Job, form: AnswerForm) -> Mapping[str, object]:
    """Return the answer to a request whose job is done and has pictures."""
    pictures = sorted(job.pictures, key=lambda each: each.number)
    data = [await _datum(services, job, each, form) for each in pictures]
    size = f"{pictures[0].width}x{pictures[0].height}"
    shared = {"created": int(time.time()), "size": size, **form.fields, **form.last_fields}
    return {**shared, "data": data}


async def _datum(
    services: Services, job: Job, picture: PictureRecord, form: AnswerForm
) -> Mapping[str, object]:
    if form.address is None:
        file = await file_of(services, picture, form.kind, form.quality)
        return {"b64_json": base64.b64encode(file).decode()}
    expires = int(time.time()) + LIFETIME
    name = PictureName(job.id, picture.number, form.kind, form.quality, expires)
    return {"url": form.address + name.text}


async def file_of(services: Services, picture: PictureRecord, kind: str, quality: int) -> bytes:
    """Return a picture's file, with its settings in it. Raises `NotFoundError`."""
    png = await asyncio.to_thread(services.outputs.read, picture.file)
    return await asyncio.to_thread(convert_png, png, kind, picture.infotext, quality)


async def picture_fields(
    services: Services, picture: PictureRecord, form: AnswerForm
) -> Mapping[str, object]:
    """Return the fields of the event for a finished picture."""
    file = await file_of(services, picture, form.kind, form.quality)
    size = (picture.width, picture.height)
    return {**_event_fields(file, size, form), **form.last_fields}


def partial_fields(
    jpeg: bytes, size: tuple[int, int] | None, form: AnswerForm
) -> Mapping[str, object]:
    """Return the fields of the event for a preview, at the ``size`` that was asked for if any.

    It decodes and encodes, so call it on a thread.
    """
    with Image.open(io.BytesIO(jpeg), formats=["JPEG"]) as preview:
        image: Image.Image = preview if size is None else preview.resize(size)
        file = io.BytesIO()
        options = {} if form.kind == "png" else {"quality": form.quality}
        image.save(file, form.kind.upper(), **options)
        return _event_fields(file.getvalue(), image.size, form)


def _event_fields(file: bytes, size: tuple[int, int], form: AnswerForm) -> Mapping[str, object]:
    encoded, shown = base64.b64encode(file).decode(), f"{size[0]}x{size[1]}"
    return {"b64_json": encoded, "created_at": int(time.time()), "size": shown, **form.fields}
