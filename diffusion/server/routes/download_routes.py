"""``/api/v1/models/download``: fetch models from the Hugging Face Hub. It is for admins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from fastapi import APIRouter, Header, Path, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from diffusion.server.downloads import Download, DownloadRequest
from diffusion.server.errors import NotFoundError
from diffusion.server.routes.event_stream import follow_log, stream_answer
from diffusion.server.routes.given import Admin, Parts
from diffusion.server.services import Services

__all__ = ["router"]

router = APIRouter(prefix="/api/v1/models", tags=["models"])

DownloadNumber = Annotated[str, Path(alias="download", pattern="^[0-9a-f]{24}$")]
Report = Mapping[str, object]


class DownloadBody(BaseModel):
    """A model on the Hub: ``owner/name``, or ``owner/name/FILE`` (.safetensors, .gguf)."""

    model_config = ConfigDict(extra="forbid")

    model: Annotated[str, Field(min_length=3, max_length=300)]
    revision: Annotated[str, Field(min_length=1, max_length=200)] = "main"
    variant: Literal["plain", "fp16"] | None = None


@router.post("/download", status_code=202)
async def begin_download(
    asked: DownloadBody, services: Parts, user: Admin, response: Response
) -> Report:
    """Fetch a model; its report tells licence and size once the Hub has answered.

    Where the same is under way, that one is returned. What an earlier download left is used.
    """
    request = DownloadRequest(asked.model, asked.revision, asked.variant)
    download = services.downloads.start(request)
    response.headers["location"] = f"/api/v1/models/downloads/{download.id}"
    return download.report()


@router.get("/downloads")
async def list_downloads(services: Parts, user: Admin) -> Mapping[str, list[Report]]:
    """List the downloads since the server's start, newest first."""
    return {"downloads": [each.report() for each in services.downloads.all]}


@router.get("/downloads/{download}")
async def show_download(number: DownloadNumber, services: Parts, user: Admin) -> Report:
    """Show a download."""
    return _find(services, number).report()


@router.delete("/downloads/{download}")
async def cancel_download(number: DownloadNumber, services: Parts, user: Admin) -> Report:
    """Stop a download; what has come is kept for the next. One that has ended stays as it is."""
    download = _find(services, number)
    if not download.state.is_final:
        services.downloads.cancel(download)
    return download.report()


@router.get("/downloads/{download}/events", response_class=StreamingResponse)
async def follow_download(
    number: DownloadNumber,
    services: Parts,
    user: Admin,
    last_event_id: Annotated[str | None, Header(max_length=100)] = None,
) -> StreamingResponse:
    """Follow a download by server-sent events: state, progress, end; as those of jobs."""
    download = _find(services, number)
    ended = download.state.is_final
    return stream_answer(follow_log(download.log, download.report, ended, last_event_id))


def _find(services: Services, number: str) -> Download:
    download = services.downloads.find(number)
    if download is None:
        raise NotFoundError(f"there is no download {number}; GET /api/v1/models/downloads has all")
    return download
