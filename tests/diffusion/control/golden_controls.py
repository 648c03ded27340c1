"""Control networks with the goldens' weights, written as diffusers saves them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors.numpy import save_file

from diffusion.checkpoints import ModelFolder
from diffusion.checkpoints.control import SeparateControl, open_control
from diffusion.pipeline.networks import Networks
from gpucore import Device, DType, f32
from tests.diffusion import golden_families, golden_models
from tests.goldens import control_cases as cases
from tests.goldens.configs import MODELS

__all__ = ["golden_networks", "open_golden", "write_control"]


def golden_networks(device: Device, model: str, dtype: type[DType] = f32) -> Networks:
    """Return a golden model on a device, of SD 1.x or of another family."""
    owner = golden_models if model in MODELS else golden_families
    return owner.networks(device, model, dtype)


def write_control(folder: Path, name: str) -> Path:
    """Write a golden control network as a folder; return it."""
    folder.mkdir(parents=True, exist_ok=True)
    config: dict[str, Any] = cases.saved(name)["config"]
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    save_file(cases.parameters(name), folder / "diffusion_pytorch_model.safetensors")
    return folder


def open_golden(folder: Path, name: str, model: ModelFolder) -> SeparateControl:
    """Write and open a golden control network for its model."""
    return open_control(write_control(folder / name, name), model)
