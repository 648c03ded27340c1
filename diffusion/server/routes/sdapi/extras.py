"""``POST /sdapi/v1/extra-single-image`` and ``extra-batch-images``: enlarge finished pictures.

It needs no place in the queue: filters are work of the host, and networks enlarge between the steps
of jobs. Alpha stays, enlarged by a filter.
"""

from __future__ import annotations

import asyncio
import base64
import html
import io
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Final

from fastapi import APIRouter
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from diffusion.checks import MOST_SIDE
from diffusion.errors import SettingsError
from diffusion.images import MOST_PIXELS, decode_image
from diffusion.infotext.files import png_info, read_texts
from diffusion.server.errors import NotBuiltError
from diffusion.server.pictures import decode_base64
from diffusion.server.routes.bodies import PictureRoute
from diffusion.server.routes.given import CurrentUser, Parts
from diffusion.server.services import Services
from diffusion.tasks import PIXEL_UPSCALERS
from diffusion.tasks.resizing import fit_image
from diffusion.upscaling import split_alpha

__all__ = ["router"]

router = APIRouter(prefix="/sdapi/v1", tags=["sdapi"], route_class=PictureRoute)

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Side = Annotated[int, Field(ge=1, le=MOST_SIDE)]

_NONE: Final = "None"
_TO_SIZE: Final = 1
"""The value of ``resize_mode`` for a size; 0 is for a factor."""
_THREADS: Final = ThreadPoolExecutor(2, thread_name_prefix="extras")
"""As many pictures are worked on at once: each may take some hundred megabytes."""


class ExtrasBody(BaseModel):
    """The fields that both have, with AUTOMATIC1111's names, types and defaults."""

    model_config = ConfigDict(extra="ignore")

    resize_mode: Annotated[int, Field(ge=0, le=1)] = 0
    show_extras_results: bool = True
    gfpgan_visibility: Share = 0
    codeformer_visibility: Share = 0
    codeformer_weight: Share = 0
    upscaling_resize: Annotated[float, Field(gt=0, le=16, allow_inf_nan=False)] = 2
    upscaling_resize_w: Side = 512
    upscaling_resize_h: Side = 512
    upscaling_crop: bool = True
    upscaler_1: str = _NONE
    upscaler_2: str = _NONE
    extras_upscaler_2_visibility: Share = 0
    upscale_first: bool = False


class SingleBody(ExtrasBody):
    """The body of ``extra-single-image``."""

    image: str = ""


class BatchFile(BaseModel):
    """A picture of a batch. ``name`` is read by nobody."""

    data: str
    name: str = ""


class BatchBody(ExtrasBody):
    """The body of ``extra-batch-images``."""

    image_list: Annotated[list[BatchFile], Field(alias="imageList")]


@router.post("/extra-single-image")
async def enlarge_picture(
    body: SingleBody, services: Parts, user: CurrentUser
) -> Mapping[str, object]:
    """Enlarge a picture; its settings stay in it."""
    image, text = await _process_on_thread(services, body, body.image, "image")
    return {"html_info": _as_html(text), "image": image}


@router.post("/extra-batch-images")
async def enlarge_pictures(
    body: BatchBody, services: Parts, user: CurrentUser
) -> Mapping[str, object]:
    """Enlarge several pictures; each keeps its settings."""
    most = services.settings.work.count
    if len(body.image_list) > most:
        raise SettingsError("imageList", len(body.image_list), f"must be at most {most} here")
    images, text = [], ""
    for each in body.image_list:
        image, text = await _process_on_thread(services, body, each.data, "imageList")
        images.append(image)
    return {"html_info": _as_html(text), "images": images}


async def _process_on_thread(
    services: Services, body: ExtrasBody, given: str, field: str
) -> tuple[str, str]:
    run = asyncio.get_running_loop().run_in_executor
    made: dict[str, bytes] = {}
    for name in (body.upscaler_1, body.upscaler_2):
        path = None if name == _NONE else services.adapters.upscalers.find(name)
        if path is not None and name not in made:
            png, size = await run(_THREADS, _colours, body, given, field)
            made[name] = await services.maps.enlarge(path, png, size)
    return await run(_THREADS, _process, body, given, field, made)


def _colours(body: ExtrasBody, given: str, field: str) -> tuple[bytes, tuple[int, int]]:
    """Return a picture's colours as a PNG, and the size that it gets. Raises `SettingsError`."""
    colours = split_alpha(decode_image(decode_base64(given, field), field)).colours
    file = io.BytesIO()
    colours.save(file, "PNG", compress_level=1)
    return file.getvalue(), _checked_size(body, colours)


def _as_html(text: str) -> str:
    return f"<p>{html.escape(text)}</p>"


def _process(
    body: ExtrasBody, given: str, field: str, made: Mapping[str, bytes]
) -> tuple[str, str]:
    """Return an enlarged picture as base64, and a text about it. Raises `SettingsError`.

    ``made``: files of the picture, enlarged by networks.
    """
    if body.gfpgan_visibility or body.codeformer_visibility:
        message = "this server does not restore faces yet; leave gfpgan and codeformer at 0"
        raise NotBuiltError(message)
    data = decode_base64(given, field)
    image, alpha = split_alpha(decode_image(data, field))
    about: dict[str, str] = {}
    larger = _enlarge(body, image, body.upscaler_1, made)
    if body.upscaler_1 != _NONE:
        scale = f"{body.upscaling_resize:g}"
        by, to = ("Postprocess upscale by", "Postprocess upscale to")
        sizes = {to: f"{larger.width}x{larger.height}"} if body.resize_mode else {by: scale}
        about |= {**sizes, "Postprocess upscaler": body.upscaler_1}
    share = body.extras_upscaler_2_visibility
    if share and _NONE not in (body.upscaler_1, body.upscaler_2):
        larger = Image.blend(larger, _enlarge(body, image, body.upscaler_2, made), share)
        about["Postprocess upscaler 2"] = body.upscaler_2
    if alpha is not None:
        plain = _NONE if body.upscaler_1 == _NONE else "Lanczos"
        larger.putalpha(_enlarge(body, alpha, plain, {}))
    text = ", ".join(f"{name}: {value}" for name, value in about.items())
    file = io.BytesIO()
    own = read_texts(data).infotext
    kept = ", ".join(filter(None, [own, text])) if own else text
    larger.save(file, "PNG", pnginfo=png_info(kept) if kept else None)
    return base64.b64encode(file.getvalue()).decode(), text


def _enlarge(
    body: ExtrasBody, image: Image.Image, upscaler: str, made: Mapping[str, bytes]
) -> Image.Image:
    """Return a picture at its new size; as it is with the upscaler "None"."""
    if upscaler == _NONE:
        return image
    if upscaler in made:
        larger = decode_image(made[upscaler], "image")
    else:
        resampling = PIXEL_UPSCALERS.find(upscaler).filter
        assert resampling is not None
        larger = image.resize(_checked_size(body, image), resampling)
    if body.resize_mode == _TO_SIZE and body.upscaling_crop:
        return fit_image(larger, (body.upscaling_resize_w, body.upscaling_resize_h), "crop")
    return larger


def _checked_size(body: ExtrasBody, image: Image.Image) -> tuple[int, int]:
    """Return the size after scaling. Raises `SettingsError` for one that is too large."""
    width, height = _size(body, image)
    if max(width, height) > MOST_SIDE or width * height > MOST_PIXELS:
        rule = f"{width}x{height} is over {MOST_PIXELS} pixels or {MOST_SIDE} a side"
        raise SettingsError("upscaling_resize", body.upscaling_resize, rule)
    return width, height


def _size(body: ExtrasBody, image: Image.Image) -> tuple[int, int]:
    """Return the size after scaling, before a crop: that covers the asked size with a crop."""
    factor = body.upscaling_resize
    if body.resize_mode == _TO_SIZE:
        wide, high = (
            body.upscaling_resize_w / image.width,
            body.upscaling_resize_h / image.height,
        )
        factor = max(wide, high)
        if not body.upscaling_crop:
            return body.upscaling_resize_w, body.upscaling_resize_h
    return max(1, round(image.width * factor)), max(1, round(image.height * factor))
