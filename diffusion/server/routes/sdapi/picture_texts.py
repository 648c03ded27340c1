"""``POST /sdapi/v1/png-info``: the settings in a picture."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from fastapi import APIRouter
from pydantic import BaseModel

from diffusion.infotext.files import read_texts
from diffusion.infotext.grammar import parse_infotext
from diffusion.server.pictures import decode_base64
from diffusion.server.routes.bodies import PictureRoute
from diffusion.server.routes.given import CurrentUser

__all__ = ["router"]

router = APIRouter(prefix="/sdapi/v1", tags=["sdapi"], route_class=PictureRoute)


class PngInfoBody(BaseModel):
    """A picture as base64, with or without a data URL's prefix."""

    image: str


@router.post("/png-info")
async def read_settings(body: PngInfoBody, user: CurrentUser) -> Mapping[str, object]:
    """Return the text in a picture, other texts in it, and the settings under their names."""
    data = await asyncio.to_thread(decode_base64, body.image, "image")
    texts = await asyncio.to_thread(read_texts, data)
    text = texts.infotext or ""
    return {
        "info": text,
        "items": {"parameters": text, **texts.others} if text else texts.others,
        "parameters": _parameters(text) if text else {},
    }


def _parameters(text: str) -> Mapping[str, str]:
    """Return the settings as texts; a size is two of them."""
    parsed = parse_infotext(text)
    found = {"Prompt": parsed.prompt, "Negative prompt": parsed.negative}
    for name, value in parsed.settings.items():
        width, cross, height = value.partition("x")
        if cross and width.isdigit() and height.isdigit():
            found |= {f"{name}-1": width, f"{name}-2": height}
        else:
            found[name] = value
    return found
