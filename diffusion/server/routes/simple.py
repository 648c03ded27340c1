"""``POST /txt2img``: a prompt in, a picture out."""

from __future__ import annotations

import asyncio
import base64
from typing import Annotated, Literal

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import JSONResponse

from diffusion.server.errors import RefusedError
from diffusion.server.jobs.job import Origin
from diffusion.server.jobs.request import JobRequest
from diffusion.server.pictures import MEDIA_TYPES, convert_png
from diffusion.server.routes.bodies import PictureRoute
from diffusion.server.routes.given import CurrentUser, Parts
from diffusion.server.routes.waiting import draw_and_wait, require_pictures

__all__ = ["router"]

router = APIRouter(tags=["simple"], route_class=PictureRoute)


@router.post(
    "/txt2img",
    response_class=Response,
    responses={200: {"content": {"image/png": {}, "application/json": {}}}},
)
async def draw_picture(
    request: Request,
    asked: JobRequest,
    services: Parts,
    user: CurrentUser,
    kind: Annotated[Literal["png", "webp", "jpeg"], Query(alias="format")] = "png",
    accept: Annotated[str, Header()] = "*/*",
) -> Response:
    """Draw, wait, and return the picture itself; with ``Accept: application/json`` all as base64.

    The picture carries its settings, and the header ``X-Seed`` its seed.
    """
    as_json = "application/json" in accept.lower() and "image/" not in accept.lower()
    if asked.count > 1 and not as_json:
        raise RefusedError("count must be 1 for a picture; send Accept: application/json for more")
    job = await draw_and_wait(request, services, asked, Origin(user.name, "txt2img", False))
    require_pictures(job)
    files = []
    for picture in job.pictures:
        png = await asyncio.to_thread(services.outputs.read, picture.file)
        files.append(await asyncio.to_thread(convert_png, png, kind, picture.infotext))
    if not as_json:
        headers = {"x-seed": str(job.pictures[0].seed), "x-job": job.id}
        return Response(files[0], media_type=MEDIA_TYPES[kind], headers=headers)
    body = {
        "job": job.id,
        "images": [base64.b64encode(file).decode() for file in files],
        "seeds": [picture.seed for picture in job.pictures],
        "infotexts": [picture.infotext for picture in job.pictures],
    }
    return JSONResponse(body)
