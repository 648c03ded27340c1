"""``POST /v1/images/generations``, ``edits``, ``variations``, and the pictures they name."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final

from fastapi import APIRouter, Form, Path, Request, Response, UploadFile
from fastapi.responses import JSONResponse

from diffusion.errors import SettingsError
from diffusion.server.access.users import User
from diffusion.server.jobs.job import Job, Origin
from diffusion.server.jobs.request import JobRequest
from diffusion.server.pictures import MEDIA_TYPES
from diffusion.server.routes.event_stream import stream_answer
from diffusion.server.routes.finding import find_picture
from diffusion.server.routes.given import CurrentUser, Parts
from diffusion.server.routes.openai.answers import AnswerForm, file_of, pictures_answer
from diffusion.server.routes.openai.picture_names import PictureName
from diffusion.server.routes.openai.refusals import REFUSALS
from diffusion.server.routes.openai.requests import (
    DrawingBody,
    EditBody,
    GenerationBody,
    StreamedBody,
    VariationBody,
)
from diffusion.server.routes.openai.streaming import StreamPlan, stream_pictures
from diffusion.server.routes.openai.translation import (
    edit_job,
    generation_job,
    size_of,
    variation_job,
)
from diffusion.server.routes.waiting import draw_and_wait, require_pictures
from diffusion.server.services import Services

__all__ = ["router"]

STREAMED: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"application/json": {}, "text/event-stream": {}}}
}

router = APIRouter(prefix="/v1/images", tags=["openai"], responses=REFUSALS)


@router.post("/generations", response_class=Response, responses=STREAMED)
async def generate_pictures(
    request: Request, body: GenerationBody, services: Parts, user: CurrentUser
) -> Response:
    """Draw pictures from text; with ``stream`` they come as events, previews first."""
    asked = generation_job(body)
    return await _draw(request, services, user, asked, body)


@router.post("/edits", response_class=Response, responses=STREAMED)
async def edit_picture(
    request: Request,
    body: Annotated[EditBody, Form(media_type="multipart/form-data")],
    services: Parts,
    user: CurrentUser,
) -> Response:
    """Draw a picture anew, or the parts of it where the mask is transparent."""
    given = [*body.image, *body.images]
    if not given:
        raise SettingsError("image", None, "send one picture")
    if len(given) > 1:
        raise SettingsError("image", f"{len(given)} pictures", "must be one picture")
    image, mask = await _read(given[0]), await _read(body.mask) if body.mask else None
    asked = await asyncio.to_thread(edit_job, body, image, mask)
    return await _draw(request, services, user, asked, body)


@router.post("/variations", response_class=JSONResponse)
async def vary_picture(
    request: Request,
    body: Annotated[VariationBody, Form(media_type="multipart/form-data")],
    services: Parts,
    user: CurrentUser,
) -> Response:
    """Draw pictures that resemble one."""
    asked = variation_job(body, await _read(body.image))
    return await _draw(request, services, user, asked, body)


@router.get("/files/{name}", response_class=Response)
async def fetch_named_picture(
    name: Annotated[str, Path(max_length=120)], services: Parts, user: CurrentUser
) -> Response:
    """Return the picture that an answer named by a URL. Its name is good for an hour."""
    found = PictureName.read(name)
    picture = await find_picture(services, user, found.job, found.number)
    file = await file_of(services, picture, found.kind, found.quality)
    return Response(file, media_type=MEDIA_TYPES[found.kind])


async def _read(upload: UploadFile) -> bytes:
    return await upload.read()


async def _draw(
    request: Request, services: Services, user: User, asked: JobRequest, body: DrawingBody
) -> Response:
    """Draw, then answer with the pictures or with a stream of them."""
    kind = request.url.path.rpartition("/")[2]
    if body.response_format == "url" and not services.alone:
        hint = "must be b64_json: this server is one of several, and another may get the URL"
        raise SettingsError("response_format", "url", hint)
    origin = Origin(user.name, f"openai/{kind}", False)
    form = AnswerForm.of(body, _address(request))
    if isinstance(body, StreamedBody) and body.stream:
        job = await services.scheduler.submit(asked, origin)
        assert isinstance(job, Job), "a request without a key is never an earlier one"
        name = "image_edit" if kind == "edits" else "image_generation"
        plan = StreamPlan(name, form, body.partial_images, size_of(body.size))
        return stream_answer(stream_pictures(services, job, plan))
    job = await draw_and_wait(request, services, asked, origin)
    require_pictures(job)
    return JSONResponse(dict(await pictures_answer(services, job, form)))


def _address(request: Request) -> str:
    """Return the URL that names of pictures follow, as the client sees this server.

    Behind a proxy with TLS that is https; only the client itself reads what it says here.
    """
    base = request.base_url
    if request.headers.get("x-forwarded-proto", "").partition(",")[0].strip().lower() == "https":
        base = base.replace(scheme="https")
    return f"{base}v1/images/files/"
