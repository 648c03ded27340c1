"""``/api/v1/gallery``: every picture that was drawn; search, settings, thumbnails, zip, delete."""

from __future__ import annotations

import asyncio
import io
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.convertors import StringConvertor, register_url_convertor

from diffusion.errors import DiffusionError, SettingsError
from diffusion.infotext.files import read_texts
from diffusion.infotext.grammar import parse_infotext
from diffusion.server.access.users import User
from diffusion.server.errors import NotFoundError, RefusedError
from diffusion.server.jobs.history import FoundPicture, PictureSearch
from diffusion.server.jobs.job import picture_report
from diffusion.server.jobs.outputs import Outputs
from diffusion.server.pictures import decode_base64, open_own
from diffusion.server.restoring import Restored, restore_request
from diffusion.server.routes.given import CurrentUser, Parts
from diffusion.server.services import Services

__all__ = ["router"]


class _PictureConvertor(StringConvertor):
    """The part of a path that names a picture, so that ``/zip`` is none."""

    regex = "[0-9a-f]{24}-[0-9]{1,6}"


register_url_convertor("gallery_picture", _PictureConvertor())
router = APIRouter(prefix="/api/v1/gallery", tags=["gallery"])

MOST_AT_ONCE: Final = 1000
"""Pictures of one zip file or one deletion."""
PictureNumber = Annotated[str, Path(alias="picture", pattern="^[0-9a-f]{24}-[0-9]{1,6}$")]
GivenNumber = Annotated[str, Field(pattern="^[0-9a-f]{24}-[0-9]{1,6}$")]
Report = Mapping[str, object]


class Chosen(BaseModel):
    """Pictures by their numbers, such as ``0190…-0``."""

    model_config = ConfigDict(extra="forbid")

    pictures: Annotated[list[GivenNumber], Field(min_length=1, max_length=MOST_AT_ONCE)]


class PictureFile(BaseModel):
    """A PNG, JPEG or WebP file as base64, or the text of settings."""

    model_config = ConfigDict(extra="forbid")

    image: str | None = None
    text: Annotated[str | None, Field(max_length=1 << 20)] = None


@router.get("")
async def search_gallery(
    services: Parts,
    user: CurrentUser,
    search: Annotated[str, Query(max_length=1000)] = "",
    model: Annotated[str | None, Query(max_length=300)] = None,
    since: Annotated[float | None, Query(allow_inf_nan=False)] = None,
    until: Annotated[float | None, Query(allow_inf_nan=False)] = None,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> Mapping[str, object]:
    """List pictures, newest first: one's own, for admins all.

    ``search``: words that the prompts have; ``since`` and ``until``: seconds since 1970.
    """
    words = tuple(search.replace("\0", "").split()[:20])
    asked = PictureSearch(_owner(user), words, model, since, until)
    found = await services.history.do(services.history.search_pictures, asked, offset, limit)
    return {"total": found.total, "pictures": [_report(each) for each in found.pictures]}


@router.post("/read")
async def read_picture(asked: PictureFile, services: Parts, user: CurrentUser) -> Report:
    """Return the settings in a picture's file, of this or another program, as fields of a job."""
    text = asked.text
    if asked.image is not None:
        data = await asyncio.to_thread(decode_base64, asked.image, "image")
        text = (await asyncio.to_thread(read_texts, data)).infotext
    if not text:
        raise SettingsError("picture", None, "its file holds no settings")
    restored = await _restore(text, services)
    return {"infotext": text, "settings": restored.settings, "notes": restored.notes}


@router.post("/zip", response_class=StreamingResponse)
async def zip_pictures(asked: Chosen, services: Parts, user: CurrentUser) -> StreamingResponse:
    """Return pictures as a zip file."""
    found = [await _find(services, user, number) for number in asked.pictures]
    headers = {"content-disposition": 'attachment; filename="avila.zip"'}
    stream = _zip(services.outputs, found)
    return StreamingResponse(stream, media_type="application/zip", headers=headers)


@router.post("/delete")
async def delete_pictures(asked: Chosen, services: Parts, user: CurrentUser) -> Report:
    """Delete pictures for good; their jobs stay in the list of jobs."""
    found = [await _find(services, user, number) for number in asked.pictures]
    for each in found:
        await _delete(services, each)
    return {"deleted": len(found)}


@router.get("/{picture:gallery_picture}")
async def show_picture(number: PictureNumber, services: Parts, user: CurrentUser) -> Report:
    """Show a picture with its settings, as fields of a job, and notes on what is not in them."""
    found = await _find(services, user, number)
    text = found.picture.infotext
    try:
        restored = await _restore(text, services)
    except SettingsError as error:
        return {**_report(found), "infotext": text, "settings": None, "notes": [str(error)]}
    settings, notes = restored.settings, restored.notes
    return {**_report(found), "infotext": text, "settings": settings, "notes": notes}


@router.delete("/{picture:gallery_picture}")
async def delete_picture(number: PictureNumber, services: Parts, user: CurrentUser) -> Report:
    """Delete a picture for good."""
    await _delete(services, await _find(services, user, number))
    return {"deleted": 1}


@router.get("/{picture:gallery_picture}/thumbnail", response_class=Response)
async def fetch_thumbnail(
    number: PictureNumber,
    services: Parts,
    user: CurrentUser,
    size: Annotated[int, Query(ge=32, le=1024)] = 320,
) -> Response:
    """Return a small WebP of a picture: at most ``size`` pixels a side."""
    found = await _find(services, user, number)
    file = await asyncio.to_thread(_shrink, services.outputs, found.picture.file, size)
    headers = {"cache-control": "private, max-age=31536000, immutable"}
    return Response(file, media_type="image/webp", headers=headers)


def _owner(user: User) -> str | None:
    """Return whose pictures a user sees; None for those of all."""
    return None if user.admin else user.name


async def _find(services: Services, user: User, number: str) -> FoundPicture:
    """Return a picture of the user, for admins of anybody. Raises `NotFoundError`."""
    job, _, place = number.partition("-")
    asked = PictureSearch(_owner(user), picture=(job, int(place)))
    found = await services.history.do(services.history.search_pictures, asked, 0, 1)
    if not found.pictures:
        raise NotFoundError(f"there is no picture {number}; GET /api/v1/gallery lists all")
    return found.pictures[0]


async def _delete(services: Services, found: FoundPicture) -> None:
    """Forget a picture, then delete its file. Raises `OutputError`, `RefusedError`."""
    picture = found.picture
    job = services.scheduler.jobs.get(found.job)
    if job is not None:
        if not job.state.is_final:
            raise RefusedError("its job is still drawn; cancel it, or wait until it is done")
        job.pictures[:] = [each for each in job.pictures if each.number != picture.number]
    await services.history.do(services.history.drop_picture, found.job, picture.number)
    await asyncio.to_thread(services.outputs.delete, picture.file)


async def _restore(text: str, services: Services) -> Restored:
    """Return what an infotext says. Raises `SettingsError`."""
    adapters = services.adapters
    return await asyncio.to_thread(restore_request, text, services.models, adapters)


def _report(found: FoundPicture) -> Report:
    """Return what clients see of a picture in a list."""
    text = parse_infotext(found.picture.infotext)
    number = f"{found.job}-{found.picture.number}"
    report = {**picture_report(found.job, found.picture)}
    del report["infotext"]
    return {
        **report,
        "id": number,
        "job": found.job,
        "thumbnail": f"/api/v1/gallery/{number}/thumbnail",
        "model": found.model,
        "created": found.created,
        "prompt": text.prompt,
        "negative": text.negative,
    }


def _shrink(outputs: Outputs, name: str, size: int) -> bytes:
    """Return a thumbnail of a picture. Raises `NotFoundError`."""
    file, small = io.BytesIO(), open_own(outputs.read(name)).convert("RGB")
    small.thumbnail((size, size))
    small.save(file, "WEBP", quality=82)
    return file.getvalue()


class _Pieces(io.RawIOBase):
    """A file that is written to and read away piece by piece."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        piece = bytes(data)  # type: ignore[call-overload]
        self._pieces.append(piece)
        return len(piece)

    def take(self) -> bytes:
        """Return what was written since the last call."""
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken


def _zip(outputs: Outputs, found: Sequence[FoundPicture]) -> Iterator[bytes]:
    """Yield a zip file in pieces; a picture whose file is gone is left out."""
    pieces = _Pieces()
    with zipfile.ZipFile(pieces, "w", zipfile.ZIP_STORED) as archive:
        for each in found:
            try:
                data = outputs.read(each.picture.file)
            except DiffusionError:
                continue
            archive.writestr(each.picture.file.replace("/", "_"), data)
            yield pieces.take()
    yield pieces.take()
