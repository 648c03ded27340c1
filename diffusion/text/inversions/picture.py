"""Textual inversion within a picture, as AUTOMATIC1111's WebUI and its users share it.

A PNG has it as text (``sd-ti-embedding``: JSON in base64), or any picture without loss has it
beside what it shows. There, on both sides and beyond a column of black, the lower four bits of
pixels are the halves of bytes, which are JSON packed by zlib. The halves are mixed with a fixed
sequence of numbers, so that they look like noise.

In the JSON, ``string_to_param`` has one item, and ``TORCHTENSOR`` in it lists the vectors.
"""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diffusion.errors import ModelFormatError
from diffusion.images import read_image

__all__ = ["PICTURE_ENDS", "read_inversion_picture"]

PICTURE_ENDS: Final = (".png", ".webp")

_TEXT: Final = "sd-ti-embedding"
_MOST_JSON: Final = 16 << 20
_MOST_NUMBERS: Final = 1 << 20
_FACTOR, _STEP = 1664525, 1013904223
"""Of the sequence x -> x * factor + step modulo 2 ** 32, from 0 on."""


def read_inversion_picture(path: Path) -> NDArray[np.float32]:
    """Return the vectors (n, d) that a picture carries.

    Raises `SettingsError` for a file that is no picture, and `ModelFormatError` for one without
    vectors, or with vectors that are damaged.
    """
    image = read_image(path)
    text = image.info.get(_TEXT)
    if isinstance(text, str):
        return _vectors(_decode(text, path), path)
    return _vectors(_unpack(_side_bytes(image), path), path)


def _decode(text: str, path: Path) -> bytes:
    """Return the bytes of base64. Raises `ModelFormatError`."""
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise _error(path, f"{_TEXT} must be base64") from None


def _unpack(packed: bytes, path: Path) -> bytes:
    """Return what zlib packed, up to a limit. Raises `ModelFormatError`."""
    try:
        unpacking = zlib.decompressobj()
        found = unpacking.decompress(packed, _MOST_JSON)
    except zlib.error:
        found = b""
    if not found:
        raise _error(path, "must carry an embedding, as text or in its sides, got none")
    return found


def _side_bytes(image: Image.Image) -> bytes:
    """Return the bytes that the pixels beside the picture have; no bytes where there are none."""
    pixels = _crop(np.asarray(image.convert("RGB"))) & 0x0F
    dark = np.flatnonzero(pixels.sum(axis=(0, 2)) == 0)
    if len(dark) < 2:
        return b""
    lower, upper = _unmix(pixels[:, : dark[0]]), _unmix(pixels[:, dark[-1] + 1 :])
    if lower.shape != upper.shape:
        return b""
    return (upper << 4 | lower).tobytes()


def _crop(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return pixels without the rows and columns at the edges that have no bright pixel."""
    bright = (pixels > 0).all(axis=2)
    rows, columns = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
    if not len(rows):
        return pixels[:0, :0]
    return pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _unmix(halves: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return halves of bytes without the sequence that they are mixed with."""
    noise = _sequence(halves.size) % 255 & 0x0F
    return halves ^ noise.astype(np.uint8).reshape(halves.shape)


def _sequence(count: int) -> NDArray[np.uint32]:
    """Return the first numbers of the sequence: each half follows from the one before it."""
    found = np.array([_STEP], np.uint32)
    factor, step = _FACTOR, _STEP
    while len(found) < count:
        found = np.concatenate([found, found * np.uint32(factor) + np.uint32(step)])
        factor, step = factor * factor % 2**32, (factor * step + step) % 2**32
    return found[:count]


def _vectors(text: bytes, path: Path) -> NDArray[np.float32]:
    """Return the vectors of JSON. Raises `ModelFormatError`."""
    if len(text) >= _MOST_JSON:
        raise _error(path, f"an embedding has at most {_MOST_JSON >> 20} MiB of text")
    try:
        found: Any = json.loads(text)
        (tensor,) = found["string_to_param"].values()
        rows = np.asarray(tensor["TORCHTENSOR"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        reason = "must have JSON with one list of vectors in string_to_param"
        raise _error(path, reason) from None
    if rows.ndim != 2 or not 0 < rows.size <= _MOST_NUMBERS or rows.dtype.kind not in "fi":
        raise _error(path, "must have vectors of numbers, of one length each")
    with np.errstate(over="ignore"):
        vectors = rows.astype(np.float32)
    if not np.isfinite(vectors).all():
        raise _error(path, "must have finite numbers, got infinities or NaN")
    return vectors


def _error(path: Path, reason: str) -> ModelFormatError:
    hint = "give the picture as it was shared: a copy that was saved anew has lost it"
    return ModelFormatError(path, "picture", reason, hint)
