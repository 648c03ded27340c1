"""Reading pictures from files, which may be hostile: to upright RGB, or a mask of one channel.

Files are PNG, JPEG or WebP, of at most `LARGEST_FILE` bytes and `MOST_PIXELS` pixels, which is
known before a pixel is decoded. The first frame is taken and turned as EXIF says. 16-bit grey is
scaled, not cut. A readable ICC profile is converted to sRGB. Transparent parts show white.
"""

from __future__ import annotations

import io
import math
import os
import struct
import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from diffusion.errors import SettingsError

__all__ = [
    "MOST_PIXELS",
    "arrange_grid",
    "decode_image",
    "from_pixels",
    "read_image",
    "to_mask",
    "to_pixels",
    "to_rgb",
]

FORMATS: Final = ("PNG", "JPEG", "WEBP")
LARGEST_FILE: Final = 64 << 20
MOST_PIXELS: Final = 1 << 24
LARGEST_PROFILE: Final = 4 << 20
BACKGROUND: Final = (255, 255, 255)
MODES: Final = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "I", "I;16", "I;16B")
"""Modes that are read. ``I`` holds 16-bit grey in 32 bits."""

_PILLOW_ERRORS = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, MemoryError)
_DAMAGE_ERRORS = (*_PILLOW_ERRORS, ArithmeticError, AttributeError, LookupError, TypeError)
"""Errors that Pillow raises for files; the last four come from EXIF tags of a wrong type."""


def read_image(path: str | os.PathLike[str], field: str = "image") -> Image.Image:
    """Return the picture in a file: decoded, upright, in its own mode.

    ``field``: the setting that names it, for errors. Raises `SettingsError`.
    """
    name = os.fspath(path)
    try:
        with Path(path).open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no such path"
        raise SettingsError(field, name, f"it cannot be read: {reason}") from error
    return decode_image(data, field, name)


class _Nameless:
    """A file without a name, as errors show it."""

    def __repr__(self) -> str:
        return "this file"


_NAMELESS: Final = _Nameless()


def decode_image(data: bytes, field: str, name: object = _NAMELESS) -> Image.Image:
    """Return the picture of a file's bytes as `read_image` does; ``name``: the file's, for errors.

    Errors leave out Pillow's text, which shows addresses. Raises `SettingsError`.
    """
    if len(data) > LARGEST_FILE:
        raise SettingsError(field, name, f"it has over {LARGEST_FILE >> 20} MiB")
    damaged = SettingsError(field, name, "it is damaged or cut short; save or fetch it again")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
                _check_kind(opened, field, name)
                opened.load()
                _check_palette(opened)
                return ImageOps.exif_transpose(opened)
    except UnidentifiedImageError as error:
        raise SettingsError(field, name, "give a PNG, JPEG or WebP file") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise SettingsError(field, name, f"it has over {MOST_PIXELS} pixels") from error
    except _DAMAGE_ERRORS as error:
        raise damaged from error


def _check_kind(image: Image.Image, field: str, name: object) -> None:
    """Raise `SettingsError` for too many pixels, or a mode that is not read."""
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise SettingsError(field, name, f"{width}x{height} is over {MOST_PIXELS} pixels")
    if image.mode not in MODES:
        raise SettingsError(
            field, name, f"pixels of mode {image.mode} are not read; save it as RGB"
        )


def _check_palette(image: Image.Image) -> None:
    """Raise ``ValueError`` where more colours are transparent than a palette can have."""
    clear = image.info.get("transparency")
    if image.mode == "P" and isinstance(clear, bytes) and len(clear) > 256:
        raise ValueError(len(clear))


def to_rgb(image: Image.Image, field: str = "image") -> Image.Image:
    """Return ``image`` as RGB in sRGB, its transparent parts on white. Raises `SettingsError`."""
    _check_kind(image, field, _NAMELESS)
    if image.mode.startswith("I"):
        return _to_eight_bits(image).convert("RGB")
    profile = image.info.get("icc_profile")
    if "A" in image.mode or "transparency" in image.info:
        clear = image.convert("RGBA")
        opaque = Image.new("RGBA", image.size, (*BACKGROUND, 255))
        opaque.alpha_composite(clear)
        return _to_srgb(opaque.convert("RGB"), profile)
    if image.mode in ("RGB", "CMYK"):
        return _to_srgb(image, profile).convert("RGB")
    return image.convert("RGB")


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """Scale 16-bit grey to 8-bit grey; Pillow's own conversion cuts at 255."""
    levels = np.clip(np.asarray(image), 0, 65535).astype(np.uint32)
    return Image.fromarray(((levels + 128) // 257).astype(np.uint8))


def _to_srgb(image: Image.Image, profile: object) -> Image.Image:
    """Convert from an ICC profile to sRGB; return it unchanged without a readable profile."""
    if not isinstance(profile, bytes) or not 0 < len(profile) <= LARGEST_PROFILE:
        return image
    try:
        own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        srgb = ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, own, srgb, outputMode="RGB")
    except (ImageCms.PyCMSError, *_PILLOW_ERRORS):
        return image
    return image if converted is None else converted


def to_mask(image: Image.Image, field: str = "mask") -> Image.Image:
    """Return a mask of one channel, 0 or 255: its alpha where that varies, else its brightness.

    128 and above is 255. Raises `SettingsError`.
    """
    _check_kind(image, field, "the mask")
    if "A" in image.mode or "transparency" in image.info:
        alpha = image.convert("RGBA").getchannel("A")
        grey = to_rgb(image).convert("L") if alpha.getextrema() == (255, 255) else alpha
    else:
        grey = to_rgb(image, field).convert("L")
    return Image.fromarray(np.where(np.asarray(grey) >= 128, 255, 0).astype(np.uint8))


def to_pixels(image: Image.Image) -> NDArray[np.float32]:
    """Return an RGB picture as (1, H, W, 3) in [-1, 1], f32."""
    return (np.asarray(image, np.float32) / np.float32(127.5) - np.float32(1))[None]


def from_pixels(pixels: NDArray[np.float32]) -> Image.Image:
    """Return a picture of (H, W, 3) in [-1, 1], rounded and clamped as `gpustd.to_image` does."""
    levels = np.round((pixels * 0.5 + 0.5) * 255)
    return Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8))


def arrange_grid(images: Sequence[Image.Image]) -> Image.Image:
    """Return pictures of one size side by side, in a grid that is square or one wider."""
    columns = math.ceil(math.sqrt(len(images)))
    rows = math.ceil(len(images) / columns)
    width, height = images[0].size
    result = Image.new("RGB", (columns * width, rows * height))
    for number, image in enumerate(images):
        result.paste(image, (number % columns * width, number // columns * height))
    return result
