"""Arguments of a pipeline's methods in the forms in which people have them."""

from __future__ import annotations

import os
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diffusion.errors import SettingsError
from diffusion.images import read_image
from diffusion.models.quantized import WEIGHT_NAMES
from diffusion.samplers import SamplerChoice
from diffusion.settings import Settings, random_seed
from gpucore import Device, DType, f16, f32

__all__ = [
    "PictureLike",
    "Size",
    "as_image",
    "open_device",
    "prompt_settings",
    "read_dtype",
    "read_size",
    "read_weights",
]

PictureLike: TypeAlias = Image.Image | str | os.PathLike[str] | NDArray[np.generic]
"""A Pillow image, a file's path, or an array (H, W), (H, W, 3) or (H, W, 4)."""

Size: TypeAlias = tuple[int, int] | int | None
"""Width and height, one number for a square, or None for the model's."""

_DTYPES: dict[str, type[DType]] = {"f16": f16, "f32": f32}


def read_size(size: Size) -> tuple[int | None, int | None]:
    """Return width and height. Raises `SettingsError`."""
    if size is None:
        return None, None
    if isinstance(size, int) and not isinstance(size, bool):
        return size, size
    if isinstance(size, tuple | list) and len(size) == 2:
        return size[0], size[1]
    raise SettingsError("size", size, "must be (width, height), or one number for a square")


def as_image(value: PictureLike, field: str = "image") -> Image.Image:
    """Return a picture as a Pillow image. Raises `SettingsError` that names ``field``."""
    if isinstance(value, Image.Image):
        return value
    if isinstance(value, str | os.PathLike):
        return read_image(value, field)
    if isinstance(value, np.ndarray):
        return _from_array(value, field)
    raise SettingsError(field, value, "must be a Pillow image, a file's path or a NumPy array")


def _from_array(array: NDArray[np.generic], field: str) -> Image.Image:
    if array.ndim not in (2, 3) or 0 in array.shape or (array.ndim == 3 and array.shape[2] > 4):
        hint = "must have the shape (height, width), (height, width, 3) or (height, width, 4)"
        raise SettingsError(field, array.shape, hint)
    if array.dtype == np.bool_:
        return Image.fromarray(np.where(array, 255, 0).astype(np.uint8))
    if array.dtype.kind == "f":
        if not (np.isfinite(array).all() and array.min() >= 0 and array.max() <= 1):
            raise SettingsError(field, "an array of floats", "must have values from 0 to 1")
        return Image.fromarray(np.round(array.astype(np.float64) * 255).astype(np.uint8))
    if array.dtype != np.uint8:
        hint = "must hold u8 from 0 to 255, floats from 0 to 1, or bool"
        raise SettingsError(field, f"an array of {array.dtype}", hint)
    return Image.fromarray(array)


def read_dtype(dtype: type[DType] | str | None) -> type[DType] | None:
    """Return the marker that ``dtype`` names. Raises `SettingsError`."""
    if isinstance(dtype, str):
        dtype = _DTYPES.get(dtype.strip().lower(), dtype)
    if dtype is None or dtype in _DTYPES.values():
        return dtype if not isinstance(dtype, str) else None
    raise SettingsError("dtype", getattr(dtype, "__name__", dtype), "must be f16 or f32")


def read_weights(name: str | None) -> str | None:
    """Return a name in `WEIGHT_NAMES` in lower case. Raises `SettingsError`."""
    if name is None:
        return None
    plain = str(name).strip().lower()
    if plain not in WEIGHT_NAMES:
        raise SettingsError("weights", name, f"must be one of {', '.join(WEIGHT_NAMES)}")
    return plain


def open_device(device: Device | str | None) -> Device:
    """Return the device, or open the one of that name; None is the best. Kernels are trusted."""
    if device is None:
        return Device.auto(checks=False)
    if isinstance(device, str):
        return Device.by_name(device, checks=False)
    given: object = device
    if not isinstance(given, Device):
        hint = "must be a Device, or a name such as 'cpu' or 'dawn-vulkan'"
        raise SettingsError("device", given, hint)
    return device


def prompt_settings(
    prompt: str,
    negative: str,
    size: Size,
    steps: int | None,
    guidance: float | None,
    sampler: SamplerChoice | None,
    seed: int | None,
) -> Settings:
    """Return the settings of one picture; a seed of None is a random one."""
    width, height = read_size(size)
    chosen = random_seed() if seed is None else seed
    return Settings(prompt, negative, width, height, steps, guidance, sampler, seed=chosen)
