"""Pictures as requests and answers carry them: base64 in, PNG, WebP or JPEG out."""

from __future__ import annotations

import base64
import binascii
import io
import re
from collections.abc import Iterator
from typing import Final

from PIL import Image

from diffusion.errors import SettingsError
from diffusion.images import decode_image, to_rgb
from diffusion.infotext.files import text_options
from diffusion.server.errors import NotFoundError

__all__ = ["FORMATS", "MEDIA_TYPES", "convert_png", "decode_base64", "open_own", "read_upload"]

FORMATS: Final = ("png", "webp", "jpeg")
MEDIA_TYPES: Final = {name: f"image/{name}" for name in FORMATS}
QUALITY: Final = 90

_PREFIX = re.compile(r"data:image/[\w.+-]{1,40};base64,")
_PIECE: Final = 1 << 18
"""Characters that are decoded at once: in a millisecond, in which no other thread runs."""
_SHOWN = 24
"""Characters of a text that is no picture which an error shows."""


def decode_base64(text: str, field: str) -> bytes:
    """Return the bytes of base64, after a data URL's prefix if there is one.

    White space and missing padding are accepted, as AUTOMATIC1111 does, and nothing else that is
    not base64. Raises `SettingsError`; one for a URL says that none is fetched.
    """
    head = text[:64].lstrip()
    if re.match(r"(https?|ftp|file):", head, re.IGNORECASE):
        raise SettingsError(field, head[:_SHOWN], "no URL is fetched; send the picture as base64")
    found = _PREFIX.match(head)
    start = len(text) - len(text.lstrip()) + found.end() if found else 0
    try:
        return b"".join(_decode_pieces(text, start))
    except (binascii.Error, ValueError) as error:
        raise SettingsError(field, text[:_SHOWN], "must be a picture as base64") from error


def _decode_pieces(text: str, start: int) -> Iterator[bytes]:
    """Yield the bytes of base64 piece by piece: in between, other threads have their turn.

    Raises ``ValueError``.
    """
    rest = ""
    for place in range(start, len(text), _PIECE):
        if rest.endswith("="):
            raise ValueError("something follows its end")
        piece = rest + "".join(text[place : place + _PIECE].split())
        whole = (len(piece) - 1) // 4 * 4  # the last group may have padding
        yield base64.b64decode(piece[:whole], validate=True)
        rest = piece[whole:]
    yield base64.b64decode(rest + "=" * (-len(rest) % 4), validate=True)


def read_upload(text: str, field: str) -> str:
    """Return a picture of a request as base64 of a new PNG, which holds its pixels and no more.

    It is upright, and its text, EXIF and GPS are gone. Raises `SettingsError`.
    """
    image = decode_image(decode_base64(text, field), field)
    profile = image.info.get("icc_profile")
    clear = image.info.get("transparency")
    image.info = {} if clear is None else {"transparency": clear}
    file = io.BytesIO()
    if image.mode in ("CMYK", "RGBX"):
        image.info = {"icc_profile": profile}
        image, profile = to_rgb(image, field), None
    kept = image.convert("RGBA") if image.mode == "PA" else image
    kept.save(file, "PNG", compress_level=1, icc_profile=profile)
    return base64.b64encode(file.getvalue()).decode()


def convert_png(png: bytes, kind: str, infotext: str | None, quality: int = QUALITY) -> bytes:
    """Return a picture of ours as a file of a ``kind`` in `FORMATS`, with its text unless None.

    ``quality``: 0 to 100, of WebP and JPEG.
    """
    image, file = open_own(png), io.BytesIO()
    options = {} if infotext is None else text_options(kind.upper(), infotext)
    if kind == "png":
        image.info = {}
        image.save(file, "PNG", **options)
    else:
        image.convert("RGB").save(file, kind.upper(), quality=quality, **options)
    return file.getvalue()


def open_own(png: bytes) -> Image.Image:
    """Return a picture of ours. Raises `NotFoundError` where its file was damaged since."""
    try:
        with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
            image.load()
            return image
    except (OSError, SyntaxError) as error:
        raise NotFoundError("the picture's file is damaged") from error
