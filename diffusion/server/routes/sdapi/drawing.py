"""``POST /sdapi/v1/txt2img`` and ``img2img``."""

from __future__ import annotations

import asyncio
import base64
import io
from collections.abc import Mapping

from fastapi import APIRouter, Request
from PIL import Image

from diffusion.images import arrange_grid
from diffusion.server.jobs.job import Job, Origin
from diffusion.server.jobs.request import JobRequest
from diffusion.server.pictures import convert_png
from diffusion.server.routes.given import CurrentUser, Parts
from diffusion.server.routes.sdapi.info import info_text
from diffusion.server.routes.sdapi.option_values import OptionValues, read_options
from diffusion.server.routes.sdapi.requests import DrawBody, Img2ImgBody, Txt2ImgBody
from diffusion.server.routes.sdapi.translation import img2img_job, txt2img_job
from diffusion.server.routes.waiting import draw_and_wait
from diffusion.server.services import Services

__all__ = ["router"]

router = APIRouter(prefix="/sdapi/v1", tags=["sdapi"])
Answer = Mapping[str, object]


@router.post("/txt2img")
async def draw_from_text(
    request: Request, body: Txt2ImgBody, services: Parts, user: CurrentUser
) -> Answer:
    """Draw pictures from text, and wait for them."""
    options = await read_options(services, user.name)
    asked = txt2img_job(body, options)
    return await _answer(request, services, asked, body, (user.name, options))


@router.post("/img2img")
async def draw_from_picture(
    request: Request, body: Img2ImgBody, services: Parts, user: CurrentUser
) -> Answer:
    """Draw pictures from a picture, or a part of it anew, and wait for them."""
    options = await read_options(services, user.name)
    asked = await asyncio.to_thread(img2img_job, body, options)
    return await _answer(request, services, asked, body, (user.name, options))


async def _answer(
    request: Request,
    services: Services,
    asked: JobRequest,
    body: DrawBody,
    chosen: tuple[str, OptionValues],
) -> Answer:
    user, options = chosen
    kind = "img2img" if isinstance(body, Img2ImgBody) else "txt2img"
    task = body.force_task_id or ""
    origin = Origin(user, f"sdapi/{kind}", False, task=task)
    job = await draw_and_wait(request, services, asked, origin)
    # AUTOMATIC1111 puts a grid first where it saves pictures and has several.
    with_grid = body.save_images and len(job.pictures) > 1
    images: list[str] = []
    if body.send_images:
        values = options.override(body.override_settings or {})
        images = await asyncio.to_thread(_images, services, job, values.kind, with_grid)
    parameters = body.model_dump()
    if not getattr(body, "include_init_images", True):
        parameters |= {"init_images": None, "mask": None}
    return {"images": images, "parameters": parameters, "info": info_text(job, with_grid)}


def _images(services: Services, job: Job, kind: str, with_grid: bool) -> list[str]:
    """Return the pictures as base64, without a prefix: clients would stumble over one."""
    pngs = [services.outputs.read(picture.file) for picture in job.pictures]
    texts = [picture.infotext for picture in job.pictures]
    if with_grid:
        file = io.BytesIO()
        arrange_grid([Image.open(io.BytesIO(png), formats=["PNG"]) for png in pngs]).save(
            file, "PNG"
        )
        pngs.insert(0, convert_png(file.getvalue(), "png", texts[0]))
        texts.insert(0, texts[0])
    if kind != "png":
        pngs = [convert_png(png, kind, text) for png, text in zip(pngs, texts, strict=True)]
    return [base64.b64encode(png).decode() for png in pngs]
