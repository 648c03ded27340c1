"""Copies of the bundled model, and of its VAE alone, with other weights."""

from __future__ import annotations

import shutil
from pathlib import Path

from safetensors.numpy import load_file, save_file

from diffusion.checkpoints.bundled import bundled_model

__all__ = ["copy_model", "copy_vae"]

WEIGHTS = "diffusion_pytorch_model.safetensors"


def copy_vae(folder: Path, factor: float) -> None:
    """Copy the VAE, and multiply its pictures by a factor."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(bundled_model() / "vae", folder)
    _scale(folder / WEIGHTS, "decoder.conv_out.weight", factor)


def copy_model(folder: Path, factor: float) -> None:
    """Copy the model, and multiply the UNet's output by a factor."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    left_out = shutil.ignore_patterns("licenses", "loras", "*.png", "*.md")
    shutil.copytree(bundled_model(), folder, ignore=left_out)
    _scale(folder / "unet" / WEIGHTS, "conv_out.weight", factor)


def _scale(file: Path, name: str, factor: float) -> None:
    weights = load_file(file)
    weights[name] = (weights[name] * factor).astype(weights[name].dtype)
    file.unlink()
    save_file(weights, file)
