"""The types of a request's fields."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Finite", "Part", "Picture"]

Finite = Annotated[float, Field(allow_inf_nan=False)]
Picture = Annotated[str, Field(description="A PNG, JPEG or WebP file as base64.")]


class Part(BaseModel):
    """A part of a request. Unknown fields are refused, and numbers are not read from text."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
