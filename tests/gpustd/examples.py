"""The names that the examples in gpustd's docstrings assume."""

from __future__ import annotations

from typing import Any

import numpy as np

import gpucore
import gpustd
from gpucore import Device
from gpustd import arrays, image, linalg, nn, random, signal

__all__ = ["example_names"]

_DTYPES = ("c64", "f16", "f32", "i8", "i32", "u8", "u32")


def example_names(device: Device) -> dict[str, Any]:
    """Return what an example may use without importing it, with `device` as its device."""
    return {
        "device": device,
        "np": np,
        "Device": Device,
        "gpustd": gpustd,
        "arrays": arrays,
        "image": image,
        "linalg": linalg,
        "nn": nn,
        "random": random,
        "signal": signal,
        **{name: getattr(gpucore, name) for name in _DTYPES},
    }
