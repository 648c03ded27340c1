"""The bodies of ``/v1/images``: OpenAI's fields, and some of ours that clients send beside them.

In JSON null stands for a field that is left out. Forms send numbers as text, which is read there.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from fastapi import UploadFile
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    model_validator,
)

from diffusion.errors import SettingsError

__all__ = ["DrawingBody", "EditBody", "GenerationBody", "StreamedBody", "VariationBody"]

_NOTES = ("default", "description", "title")
"""Parts of a field's JSON schema that are about the field, not about its values."""
_SIZE = re.compile(r"auto|[1-9]\d{0,4}x[1-9]\d{0,4}")


def _check_size(size: str) -> str:
    if not _SIZE.fullmatch(size):
        raise SettingsError("size", size, "must be auto or WIDTHxHEIGHT, such as 512x512")
    return size


def _check_background(background: str) -> str:
    if background == "transparent":
        hint = "must be opaque or auto: these models paint every pixel"
        raise SettingsError("background", background, hint)
    return background


def _refuse(value: object, info: ValidationInfo) -> object:
    shown = value if isinstance(value, str | int) else type(value).__name__
    raise SettingsError(str(info.field_name), shown, "these models do not know it; leave it out")


def _describe(schema: dict[str, Any]) -> None:
    """Add to a JSON schema that null stands for a field that is left out, and an example."""
    for name, field in schema["properties"].items():
        if name not in schema["required"] and "type" in field:
            field["anyOf"] = [
                {each: field.pop(each) for each in list(field) if each not in _NOTES},
                {"type": "null"},
            ]
    schema["examples"] = [{"prompt": "a red apple", "size": "512x512", "steps": 20}]


Number = Annotated[float, Field(allow_inf_nan=False)]
Text = Annotated[str, Field(max_length=32_000)]
Prompt = Annotated[str, Field(min_length=1, max_length=32_000)]
Label = Annotated[str, Field(max_length=512)]
Unsupported = Annotated[Any, AfterValidator(_refuse)]


class DrawingBody(BaseModel):
    """The fields that all three have. From ``negative_prompt`` on they are ours, not OpenAI's."""

    model_config = ConfigDict(extra="forbid")

    model: Label | None = Field(default=None, description="An id of GET /v1/models.")
    n: int = Field(default=1, ge=1, le=10)
    size: Annotated[str, AfterValidator(_check_size)] = "auto"
    response_format: Literal["url", "b64_json"] = "b64_json"
    output_format: Literal["png", "jpeg", "webp"] = "png"
    output_compression: int | None = Field(default=None, ge=0, le=100)
    quality: Literal["auto", "low", "medium", "standard", "high", "hd", "xhigh", "max"] = "auto"
    background: Annotated[
        Literal["transparent", "opaque", "auto"], AfterValidator(_check_background)
    ] = "auto"
    moderation: Literal["low", "auto"] = "auto"
    user: Label = ""
    safety_identifier: Label = ""
    style: Unsupported = None
    complexity: Unsupported = None
    frame_count: Unsupported = None
    frame_duration_ms: Unsupported = None
    svg: Unsupported = None
    negative_prompt: Text = ""
    seed: int = Field(default=-1, ge=-1, le=2**64 - 1, description="-1 for a random one.")
    steps: int | None = Field(default=None, ge=1, le=1000)
    guidance: Number | None = None
    sampler: Label | None = None
    schedule: Label | None = None
    clip_skip: int = Field(default=1, ge=1, le=12)

    @model_validator(mode="before")
    @classmethod
    def _leave_nulls_out(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {name: value for name, value in given.items() if value is not None}

    @model_validator(mode="after")
    def _check_compression(self) -> DrawingBody:
        if self.output_format == "png" and self.output_compression not in (None, 100):
            hint = "needs output_format jpeg or webp"
            raise SettingsError("output_compression", self.output_compression, hint)
        return self


class StreamedBody(DrawingBody):
    """The fields of answers that can be streamed."""

    stream: bool = False
    partial_images: int = Field(default=0, ge=0, le=3)

    @model_validator(mode="after")
    def _check_stream(self) -> StreamedBody:
        if self.partial_images and not self.stream:
            raise SettingsError("partial_images", self.partial_images, "needs stream true")
        return self


class GenerationBody(StreamedBody):
    """The body of ``generations``."""

    model_config = ConfigDict(strict=True, json_schema_extra=_describe)

    prompt: Prompt


class EditBody(StreamedBody):
    """The form of ``edits``. Clients send one picture as ``image`` or as ``image[]``."""

    prompt: Prompt
    image: list[UploadFile] = []
    images: list[UploadFile] = Field(default=[], alias="image[]")
    mask: UploadFile | None = None
    input_fidelity: Literal["low", "high"] = "low"
    markup: Unsupported = None
    strength: float | None = Field(default=None, ge=0, le=1)


class VariationBody(DrawingBody):
    """The form of ``variations``; the prompt is ours."""

    image: UploadFile
    prompt: Text = ""
    strength: float = Field(default=0.6, ge=0, le=1)
