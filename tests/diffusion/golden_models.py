"""The tiny golden models, written as folders and loaded once for each device."""

from __future__ import annotations

import functools
from pathlib import Path

from diffusion.checkpoints import ModelFolder
from diffusion.pipeline.loading import load_networks
from diffusion.pipeline.networks import Networks
from gpucore import Device, DType, f32
from tests.diffusion.session_folder import session_folder
from tests.goldens.folders import write_model

__all__ = ["networks"]


@functools.cache
def _folder(model: str) -> Path:
    return write_folder(session_folder(model), model)


def write_folder(path: Path, model: str) -> Path:
    """Write a model's folder at ``path``."""
    write_model(path, model)
    return path


@functools.cache
def networks(device: Device, model: str, dtype: type[DType] = f32) -> Networks:
    """Return a golden model on a device."""
    return load_networks(ModelFolder(_folder(model)), device, dtype)
