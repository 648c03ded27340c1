"""The golden models beyond SD 1.x, written as folders and loaded once for each device."""

from __future__ import annotations

import functools
from pathlib import Path

from diffusion.checkpoints import ModelFolder
from diffusion.pipeline.loading import load_networks
from diffusion.pipeline.networks import Networks
from gpucore import Device, DType, f32
from tests.diffusion.session_folder import session_folder
from tests.goldens.families import RunCase
from tests.goldens.family_folders import write_family, write_part

__all__ = ["model_folder", "networks", "networks_for_run", "vae_folder"]

Changes = tuple[tuple[str, object], ...]


@functools.cache
def _folder(model: str, changes: Changes) -> Path:
    place = session_folder(model)
    return write_family(place, model, dict(changes))


def model_folder(model: str) -> Path:
    """Return the folder of a model."""
    return _folder(model, ())


def vae_folder(place: Path) -> Path:
    """Write the tiny VAE as a folder."""
    write_part(place, "taesd", "tiny_vae")
    return place


@functools.cache
def networks(
    device: Device, model: str, dtype: type[DType] = f32, changes: Changes = ()
) -> Networks:
    """Return a model on a device; ``changes``: to its scheduler's config."""
    return load_networks(ModelFolder(_folder(model, changes)), device, dtype)


def networks_for_run(device: Device, case: RunCase) -> Networks:
    """Return the model of a run, with the run's scheduler."""
    return networks(device, case.model, changes=tuple(case.scheduler.items()))
