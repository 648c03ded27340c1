"""Pictures from outside: hostile until checked, then upright RGB, or a mask of one channel.

Rules: PNG, JPEG or WebP; at most `LARGEST_FILE` bytes and `MOST_PIXELS` pixels, known before a
pixel is decoded; the first frame; turned as EXIF says; 16-bit grey scaled, not cut; an ICC profile
that can be read converted to sRGB; what is transparent shows white.
"""

from __future__ import annotations

import io
import os
import struct
import warnings
import zlib
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from diffusion.errors import SettingsError

__all__ = ["MOST_PIXELS", "from_pixels", "read_image", "to_mask", "to_pixels", "to_rgb"]

FORMATS: Final = ("PNG", "JPEG", "WEBP")
LARGEST_FILE: Final = 64 << 20
MOST_PIXELS: Final = 1 << 24
LARGEST_PROFILE: Final = 4 << 20
BACKGROUND: Final = (255, 255, 255)
MODES: Final = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "I", "I;16", "I;16B")
"""What is taken. ``I`` holds 16-bit grey in 32 bits."""

_MENDABLE = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, MemoryError)
_DAMAGED = (*_MENDABLE, ArithmeticError, AttributeError, LookupError, TypeError)
"""What Pillow raises for files, the last four where a tag of EXIF is of another type."""


def read_image(path: str | os.PathLike[str], field: str = "image") -> Image.Image:
    """The picture in a file, decoded, upright, in its own mode.

    ``field``: the setting that named it, for errors. Raises `SettingsError`.
    """
    name = os.fspath(path)
    try:
        with Path(path).open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no such path"
        raise SettingsError(field, name, f"it cannot be read: {reason}") from error
    if len(data) > LARGEST_FILE:
        raise SettingsError(field, name, f"it has over {LARGEST_FILE >> 20} MiB")
    return _decoded(data, field, name)


def _decoded(data: bytes, field: str, name: str) -> Image.Image:
    """The picture of a file's bytes. What Pillow says is not repeated: it may show addresses."""
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
    except _DAMAGED as error:
        raise damaged from error


def _check_kind(image: Image.Image, field: str, name: str) -> None:
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise SettingsError(field, name, f"{width}x{height} is over {MOST_PIXELS} pixels")
    if image.mode not in MODES:
        raise SettingsError(
            field, name, f"pixels of mode {image.mode} are not read; save it as RGB"
        )


def _check_palette(image: Image.Image) -> None:
    """Raise ``ValueError`` where more colours are said to be clear than a palette can have."""
    clear = image.info.get("transparency")
    if image.mode == "P" and isinstance(clear, bytes) and len(clear) > 256:
        raise ValueError(len(clear))


def to_rgb(image: Image.Image, field: str = "image") -> Image.Image:
    """``image`` as RGB in sRGB, its transparent parts on white. Raises `SettingsError`."""
    _check_kind(image, field, "the picture")
    if image.mode.startswith("I"):
        return _sixteen_bits(image).convert("RGB")
    profile = image.info.get("icc_profile")
    if "A" in image.mode or "transparency" in image.info:
        clear = image.convert("RGBA")
        flat = Image.new("RGBA", image.size, (*BACKGROUND, 255))
        flat.alpha_composite(clear)
        return _in_srgb(flat.convert("RGB"), profile)
    if image.mode in ("RGB", "CMYK"):
        return _in_srgb(image, profile).convert("RGB")
    return image.convert("RGB")


def _sixteen_bits(image: Image.Image) -> Image.Image:
    """16-bit grey as 8-bit grey, scaled: Pillow's own conversion cuts at 255."""
    levels = np.clip(np.asarray(image), 0, 65535).astype(np.uint32)
    return Image.fromarray(((levels + 128) // 257).astype(np.uint8))


def _in_srgb(image: Image.Image, profile: object) -> Image.Image:
    """Converted from its ICC profile; as it is where there is none or it cannot be read."""
    if not isinstance(profile, bytes) or not 0 < len(profile) <= LARGEST_PROFILE:
        return image
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        target = ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, source, target, outputMode="RGB")
    except (ImageCms.PyCMSError, *_MENDABLE):
        return image
    return image if converted is None else converted


def to_mask(image: Image.Image, field: str = "mask") -> Image.Image:
    """A mask of one channel, 0 or 255: its alpha where that varies, else its brightness.

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
    """An RGB picture as (1, H, W, 3) in [-1, 1], f32."""
    return (np.asarray(image, np.float32) / np.float32(127.5) - np.float32(1))[None]


def from_pixels(pixels: NDArray[np.float32]) -> Image.Image:
    """A picture of (H, W, 3) in [-1, 1], rounded and clamped as `gpustd.to_image` does."""
    levels = np.round((pixels * 0.5 + 0.5) * 255)
    return Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8))
