"""``POST /sdapi/v1/txt2img`` and ``img2img``."""

from __future__ import annotations

import asyncio
import base64
import io
import itertools
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final, NamedTuple

from fastapi import APIRouter, Request, Response
from PIL import Image
from pydantic import BaseModel, TypeAdapter

from diffusion.images import arrange_grid
from diffusion.infotext.files import png_info
from diffusion.server.access.users import User
from diffusion.server.jobs.job import Job, Origin
from diffusion.server.jobs.outputs import Outputs
from diffusion.server.jobs.request import JobRequest
from diffusion.server.pictures import convert_png
from diffusion.server.routes.bodies import PictureRoute
from diffusion.server.routes.given import CurrentUser, Parts
from diffusion.server.routes.sdapi import controlnet
from diffusion.server.routes.sdapi.info import info_text
from diffusion.server.routes.sdapi.infotexts import fill_from_infotext
from diffusion.server.routes.sdapi.option_values import OptionValues, read_options, write_options
from diffusion.server.routes.sdapi.requests import DrawBody, Img2ImgBody, Txt2ImgBody
from diffusion.server.routes.sdapi.scripts import Plan, Shown, make_plan
from diffusion.server.routes.sdapi.translation import (
    check_body,
    img2img_job,
    split_pictures,
    txt2img_job,
)
from diffusion.server.routes.waiting import draw_series
from diffusion.server.services import Services
from diffusion.server.styles import StyleTable
from diffusion.settings import Settings

__all__ = ["router"]

router = APIRouter(prefix="/sdapi/v1", tags=["sdapi"], route_class=PictureRoute)


class DrawAnswer(BaseModel):
    """Pictures as base64, the request, and AUTOMATIC1111's ``info`` as JSON text."""

    images: list[str]
    parameters: dict[str, Any]
    info: str


_ANSWER: Final = TypeAdapter(DrawAnswer)


@router.post("/txt2img", response_model=DrawAnswer)
async def draw_from_text(
    request: Request, body: Txt2ImgBody, services: Parts, user: CurrentUser
) -> Response:
    """Draw pictures from text, and wait for them.

    With ``script_name`` and ``script_args`` a built-in script draws several, and a grid of them.
    """
    return await _answer(request, services, body, user)


@router.post("/img2img", response_model=DrawAnswer)
async def draw_from_picture(
    request: Request, body: Img2ImgBody, services: Parts, user: CurrentUser
) -> Response:
    """Draw pictures from a picture, or a part of it anew, and wait for them.

    With ``script_name`` and ``script_args`` a built-in script draws several, and a grid of them.
    """
    return await _answer(request, services, body, user)


async def _answer(request: Request, services: Services, body: DrawBody, user: User) -> Response:
    options = await read_options(services, user.name)
    body = fill_from_infotext(body)
    plan: Plan | None = None
    bodies: Sequence[DrawBody] = [body]
    if body.script_name:
        plan = await asyncio.to_thread(make_plan, body, services.settings.work)
        bodies = bodies if plan is None else plan.bodies
    parts = [_split(each, services) for each in bodies]
    bodies = [each for part in parts for each in part]
    bodies = [_with_styles(each, services.styles) for each in bodies]
    for each in bodies if plan is not None else []:
        await asyncio.to_thread(check_body, each, options)  # before the first is drawn
    kind = "img2img" if isinstance(body, Img2ImgBody) else "txt2img"
    task = body.force_task_id or ""
    origin = Origin(user.name, f"sdapi/{kind}", False, task=task, parts=len(bodies))
    # An ended job keeps no pictures, so its settings are kept from its begin for maps.
    units = controlnet.mapped_units(body.alwayson_scripts) if plan is None else []
    begun = list[Settings]()
    note = None if not (units and body.send_images) else lambda job: begun.append(job.settings)
    jobs = await draw_series(request, services, _requests(bodies, options), origin, note)
    # AUTOMATIC1111 puts a grid first where it saves pictures and has several.
    count = sum(len(job.pictures) for job in jobs)
    with_grid = plan is None and body.save_images and count > 1
    values = options.override(body.override_settings or {})
    if not body.override_settings_restore_afterwards:
        await write_options(services, user.name, body.override_settings or {})
    maps = list[bytes]()
    if begun:
        maps = await controlnet.detected_maps(units, begun[0], services.maps)
    cells = [len(part) for part in parts]
    layout = _Layout(plan, cells, with_grid, values, body.send_images, maps)
    content = await asyncio.to_thread(_content, services.outputs, jobs, layout, body)
    return Response(content, media_type="application/json")


def _split(body: DrawBody, services: Services) -> Sequence[DrawBody]:
    """Return a body for each of several init images."""
    if not isinstance(body, Img2ImgBody):
        return [body]
    return split_pictures(body, services.settings.work)


def _content(outputs: Outputs, jobs: Sequence[Job], layout: _Layout, body: DrawBody) -> bytes:
    """Return the answer as JSON."""
    images, texts = _lay_out(outputs, jobs, layout)
    parameters = body.model_dump()
    if not getattr(body, "include_init_images", True):
        parameters |= {"init_images": None, "mask": None}
    info = info_text(jobs, texts, body.styles or [])
    answer = DrawAnswer.model_construct(images=images, parameters=parameters, info=info)
    return _ANSWER.dump_json(answer)


def _with_styles(body: DrawBody, styles: StyleTable) -> DrawBody:
    """Return a body whose styles are in its prompts. Raises `RefusedError` for an unknown one."""
    if not body.styles:
        return body
    prompt, negative = styles.apply(body.styles, body.prompt, body.negative_prompt)
    changes = {"prompt": prompt, "negative_prompt": negative, "styles": None}
    if isinstance(body, Txt2ImgBody):
        second = styles.apply(body.styles, body.hr_prompt, body.hr_negative_prompt)
        changes |= {"hr_prompt": second[0]} if body.hr_prompt else {}
        changes |= {"hr_negative_prompt": second[1]} if body.hr_negative_prompt else {}
    return body.model_copy(update=changes)


async def _requests(bodies: Sequence[DrawBody], options: OptionValues) -> AsyncIterator[JobRequest]:
    for body in bodies:
        if isinstance(body, Img2ImgBody):
            yield await asyncio.to_thread(img2img_job, body, options)
        else:
            assert isinstance(body, Txt2ImgBody)
            if body.alwayson_scripts or body.firstpass_image:  # they have pictures
                yield await asyncio.to_thread(txt2img_job, body, options)
            else:
                yield txt2img_job(body, options)


class _Layout(NamedTuple):
    """The parts of an answer: grids of a plan or a batch, and its files, if it ``sends`` any.

    ``cells``: how many jobs draw each body of the plan. ``options``: tell the kind of the files.
    ``maps``: of its units, which come last.
    """

    plan: Plan | None
    cells: Sequence[int]
    with_grid: bool
    options: OptionValues
    sends: bool
    maps: Sequence[bytes]


def _lay_out(outputs: Outputs, jobs: Sequence[Job], layout: _Layout) -> tuple[list[str], list[str]]:
    """Return the pictures as base64, and the texts of the grids among them, which come first.

    The base64 has no prefix: clients would stumble over one.
    """
    if not layout.sends:
        return [], []
    plan, files = layout.plan, [(each, job) for job in jobs for each in job.pictures]
    pngs = [outputs.read(picture.file) for picture, _ in files]
    texts = [picture.infotext for picture, _ in files]
    grids: list[Shown] = []
    if layout.with_grid:
        images = [Image.open(io.BytesIO(png), formats=["PNG"]) for png in pngs]
        grids = [Shown(arrange_grid(images), texts[0])]
    elif plan is not None:
        grids = plan.make_grids(_join(_open_pictures(jobs, pngs), layout.cells))
        if not plan.keeps_pictures:
            pngs, texts = [], []
    pngs = [*(_png(each) for each in grids), *pngs, *layout.maps]
    grid_texts = [each.infotext for each in grids]
    kind, has_texts = layout.options.kind, layout.options.has_texts
    if kind != "png" or not has_texts:
        pairs = zip(pngs, [*grid_texts, *texts, *[None] * len(layout.maps)], strict=True)
        pngs = [convert_png(png, kind, text if has_texts else None) for png, text in pairs]
    return [base64.b64encode(png).decode() for png in pngs], grid_texts


def _open_pictures(jobs: Sequence[Job], pngs: Sequence[bytes]) -> list[list[Shown]]:
    """Return the pictures of each job, opened."""
    files = iter(pngs)
    return [
        [
            Shown(Image.open(io.BytesIO(next(files)), formats=["PNG"]), picture.infotext)
            for picture in job.pictures
        ]
        for job in jobs
    ]


def _join(drawn: Sequence[list[Shown]], cells: Sequence[int]) -> list[list[Shown]]:
    """Return the pictures of jobs as those of cells, of which each has so many jobs."""
    left = iter(drawn)
    return [[shown for each in itertools.islice(left, count) for shown in each] for count in cells]


def _png(shown: Shown) -> bytes:
    file = io.BytesIO()
    shown.image.save(file, "PNG", pnginfo=png_info(shown.infotext))
    return file.getvalue()
