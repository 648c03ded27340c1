"""The infotext in a picture's file: written into PNG, JPEG and WebP, and read from them.

PNG keeps it under the key ``parameters``, JPEG and WebP in EXIF's UserComment. Pictures of programs
that write JSON instead are read through `diffusion.infotext.foreign`.
"""

from __future__ import annotations

import io
import os
import struct
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from diffusion.errors import SettingsError
from diffusion.infotext.foreign import convert_metadata

__all__ = [
    "FORMATS",
    "PictureTexts",
    "exif_info",
    "png_info",
    "read_infotext",
    "read_texts",
    "text_options",
]

KEY: Final = "parameters"
FORMATS: Final = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
"""The formats whose files carry an infotext, by suffix."""
_MOST_JPEG_EXIF: Final = 65533
"""Bytes of one segment of a JPEG file."""
_KINDS: Final = tuple(dict.fromkeys(FORMATS.values()))
LARGEST_FILE: Final = 256 << 20
"""Bytes of the largest picture's file that is read."""

_EXIF, _USER_COMMENT = 0x8769, 0x9286
_LONG, _UNDEFINED = 4, 7
"""Types of EXIF values: an unsigned 32-bit integer, and bytes without a form."""
_MAKE, _MODEL = 0x10F, 0x110
"""Tags of the camera, into which ComfyUI writes ``workflow:{…}`` and ``prompt:{…}``."""
_UTF_16: Final = b"UNICODE\0"
_UNREADABLE = (
    *(OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, MemoryError),
    *(ArithmeticError, AttributeError, LookupError, TypeError),
)
"""What Pillow raises for damaged files; the second line comes from EXIF tags of a wrong type."""


def text_options(kind: str, text: str) -> dict[str, Any]:
    """Return what makes ``Image.save`` write an infotext into a file of a ``kind`` in `FORMATS`.

    Nothing, with a warning, where it is too long for JPEG.
    """
    if kind == "PNG":
        return {"pnginfo": png_info(text)}
    exif = exif_info(text)
    if kind == "JPEG" and len(exif) > _MOST_JPEG_EXIF:
        warnings.warn("the settings are too long for a JPEG file and left out", stacklevel=2)
        return {}
    return {"exif": exif}


class PictureTexts(NamedTuple):
    """The infotext in a picture's file, None where it has none, and its other texts by key."""

    infotext: str | None
    others: dict[str, str]


def png_info(text: str) -> PngInfo:
    """Return ``pnginfo`` for ``Image.save``: tEXt where Latin-1 can hold the text, else iTXt."""
    info = PngInfo()
    info.add_text(KEY, text.encode("utf-8", "replace").decode("utf-8"))
    return info


def exif_info(text: str) -> bytes:
    """Return ``exif`` for ``Image.save`` of JPEG and WebP: EXIF with a UserComment.

    It is UTF-16 with the high byte first, as other tools write it. Its type is UNDEFINED, which
    EXIF 2.32 (section 4.6.5) demands and other readers rely on. Pillow writes bytes as BYTE, so
    the two directories of one entry each are packed here: a pointer, then the comment.
    """
    body = text.encode("utf-8", "replace").decode("utf-8").encode("utf-16-be")
    comment = _UTF_16 + body
    head = struct.Struct(">2sHL")  # byte order, 42, the place of the first directory
    directory = struct.Struct(">HHHLLL")  # one entry: tag, type, count, place. No next directory.
    second = head.size + directory.size
    return b"".join(
        [
            b"Exif\0\0",
            head.pack(b"MM", 42, head.size),
            directory.pack(1, _EXIF, _LONG, 1, second, 0),
            directory.pack(1, _USER_COMMENT, _UNDEFINED, len(comment), second + directory.size, 0),
            comment,
        ]
    )


def read_infotext(path: str | os.PathLike[str], field: str = "image") -> str | None:
    """Return the infotext in a PNG, JPEG or WebP file, or None where it has none.

    Settings that ComfyUI, InvokeAI and some others wrote as JSON are returned in the same form,
    with the program under ``Version``. Pixels are not decoded.

    Raises `SettingsError` of the setting ``field`` where the file cannot be read, is of another
    kind, or is too large.
    """
    name = os.fspath(path)
    try:
        with Path(path).open("rb") as file:
            if os.fstat(file.fileno()).st_size > LARGEST_FILE:
                raise SettingsError(field, name, f"it has over {LARGEST_FILE} bytes")
            return _read_texts(file, field, name).infotext
    except (OSError, ValueError) as error:
        raise _unreadable(error, field, name) from error


def read_texts(data: bytes, field: str = "image") -> PictureTexts:
    """Return what `read_infotext` finds in a file's bytes, and the other texts in it.

    Raises `SettingsError` as `read_infotext`.
    """
    return _read_texts(io.BytesIO(data), field, "the picture")


def _read_texts(file: IO[bytes], field: str, name: str) -> PictureTexts:
    """Return the texts in an open file. ``name``: for errors. Raises `SettingsError`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about damaged EXIF, and sizes that are not decoded
            with Image.open(file, formats=_KINDS) as image:
                texts = dict(_texts(image))
                foreign = convert_metadata(texts, image.size)
    except UnidentifiedImageError as error:
        raise SettingsError(field, name, "give a PNG, JPEG or WebP file") from error
    except Image.DecompressionBombError as error:
        raise SettingsError(field, name, "it has too many pixels") from error
    except _UNREADABLE as error:
        raise _unreadable(error, field, name) from error
    if foreign is None:
        return PictureTexts(texts.pop(KEY, None), texts)
    if foreign.infotext is None:
        hint = f"{foreign.program} made it, and wrote its settings in a form that cannot be read"
        raise SettingsError(field, name, hint)
    return PictureTexts(foreign.infotext, texts)


def _unreadable(error: Exception, field: str, name: str) -> SettingsError:
    reason = getattr(error, "strerror", None) or "it is damaged or cut short"
    return SettingsError(field, name, f"it cannot be read: {reason}")


def _texts(image: Image.Image) -> Iterator[tuple[str, str]]:
    """Yield the texts that a picture carries by their keys; EXIF's comment under ``parameters``."""
    for name, value in image.info.items():
        if isinstance(name, str) and isinstance(value, str):
            yield name, value
    if KEY in image.info:
        return
    comment = _user_comment(image)
    if comment is not None:
        yield KEY, comment
    for tag in (_MAKE, _MODEL):
        name, colon, value = str(image.getexif().get(tag, "")).partition(":")
        if colon and name in ("prompt", "workflow"):
            yield name, value


def _user_comment(image: Image.Image) -> str | None:
    """Return EXIF's UserComment: eight bytes that name its encoding, then the text."""
    comment = image.getexif().get_ifd(_EXIF).get(_USER_COMMENT)
    if not isinstance(comment, bytes):
        return comment if isinstance(comment, str) else None
    code, body = comment[:8], comment[8:]
    if code != _UTF_16:
        return body.decode("utf-8", "replace").rstrip("\0") or None
    # Writers disagree on the byte order. The settings' line is ASCII: its zeros show the high byte.
    low_first = body[1::2].count(0) > body[0::2].count(0)
    return body.decode("utf-16-le" if low_first else "utf-16-be", "replace") or None
