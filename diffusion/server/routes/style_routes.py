"""``/api/v1/styles``: prompt styles: list; save and delete for admins, as all users see them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from diffusion.server.routes.given import Admin, CurrentUser, Parts
from diffusion.server.services import Services
from diffusion.server.styles import Style

__all__ = ["router"]

router = APIRouter(prefix="/api/v1/styles", tags=["styles"])

StyleName = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^\S([^\x00-\x1f]*\S)?$")]
StyleText = Annotated[str, Field(max_length=65536, pattern="^[^\x00]*$")]


class StyleBody(BaseModel):
    """A style; one whose prompt has ``{prompt}`` is put around prompts, others after them."""

    model_config = ConfigDict(extra="forbid")

    name: StyleName
    prompt: StyleText = ""
    negative: StyleText = ""


@router.get("")
async def list_styles(services: Parts, user: CurrentUser) -> Mapping[str, object]:
    """List the prompt styles."""
    return _styles(services)


@router.put("")
async def save_style(style: StyleBody, services: Parts, user: Admin) -> Mapping[str, object]:
    """Save a style, in the place of one of the same name."""
    await asyncio.to_thread(services.styles.save, Style(style.name, style.prompt, style.negative))
    return _styles(services)


@router.delete("")
async def delete_style(
    services: Parts, user: Admin, name: Annotated[str, Query(min_length=1, max_length=200)]
) -> Mapping[str, object]:
    """Delete a style."""
    await asyncio.to_thread(services.styles.delete, name)
    return _styles(services)


def _styles(services: Services) -> Mapping[str, object]:
    found = services.styles.styles
    return {"styles": [{"name": s.name, "prompt": s.prompt, "negative": s.negative} for s in found]}
