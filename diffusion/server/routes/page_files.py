"""``/`` and ``/page/…``: the page for browsers, whose files are read once, when the server starts.

No path of a request reaches the disk: a name is looked up among the files that were read. They hold
no secret, so that they are open, too, where the server has users; the page then asks for a token.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Final

from fastapi import APIRouter, Header, Response

from diffusion.server.errors import NotFoundError

__all__ = ["FOLDER", "INDEX", "router"]

router = APIRouter(tags=["page"])

FOLDER: Final = Path(__file__).parents[1] / "page"
INDEX: Final = "index.html"
_MEDIA_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}


@dataclass(frozen=True)
class PageFile:
    """A file of the page."""

    content: bytes
    packed: bytes
    media_type: str
    tag: str


@cache
def _files() -> Mapping[str, PageFile]:
    """Return the files of the page by their names below its folder."""
    return dict(_read_files())


def _read_files() -> Iterator[tuple[str, PageFile]]:
    for path in sorted(FOLDER.rglob("*")):
        if path.suffix in _MEDIA_TYPES:
            content = path.read_bytes()
            tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
            name = path.relative_to(FOLDER).as_posix()
            yield name, PageFile(content, gzip.compress(content), _MEDIA_TYPES[path.suffix], tag)


@router.get("/", response_class=Response)
async def show_page(
    if_none_match: Annotated[str, Header()] = "", accept_encoding: Annotated[str, Header()] = ""
) -> Response:
    """Return the page for browsers."""
    return _answer(INDEX, if_none_match, accept_encoding)


@router.get("/page/{name:path}", response_class=Response)
async def fetch_page_file(
    name: str,
    if_none_match: Annotated[str, Header()] = "",
    accept_encoding: Annotated[str, Header()] = "",
) -> Response:
    """Return a file of the page: a module, a style sheet or an icon."""
    return _answer(name, if_none_match, accept_encoding)


def _answer(name: str, known: str, encodings: str) -> Response:
    """Return a file, or 304 where the browser has it. Raises `NotFoundError`."""
    file = _files().get(name)
    if file is None:
        raise NotFoundError("the page has no such file")
    headers = {"etag": file.tag, "cache-control": "no-cache", "vary": "accept-encoding"}
    if file.tag in known:
        return Response(status_code=304, headers=headers)
    if "gzip" not in encodings:
        return Response(file.content, media_type=file.media_type, headers=headers)
    headers["content-encoding"] = "gzip"
    return Response(file.packed, media_type=file.media_type, headers=headers)
