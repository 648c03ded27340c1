"""The bundled model, loaded once for each device, and the pictures that it draws."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffusion import Pipeline, Settings
from diffusion.pipeline.loading import best_dtype
from gpucore import Device, DType

__all__ = ["pipeline_on", "pixels"]


@functools.cache
def _load(device: Device, dtype: type[DType]) -> Pipeline:
    return Pipeline.load(device=device, dtype=dtype)


def pipeline_on(device: Device, dtype: type[DType] | None = None) -> Pipeline:
    """Return the bundled model. Tests that bound rounding errors name the ``dtype``."""
    return _load(device, dtype or best_dtype(device))


def pixels(pipeline: Pipeline, settings: Settings) -> NDArray[Any]:
    """Return all images of a run: (images, height, width, 3)."""
    return np.stack([np.asarray(image) for image in pipeline.draw(settings)])
