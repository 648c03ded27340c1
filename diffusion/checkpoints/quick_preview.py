"""Quick previews by name: TAESD from folders beside the model or the Hub's cache, or colours."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from diffusion.catalogue import Catalogue
from diffusion.checkpoints.hub import cached_model
from diffusion.checkpoints.model_folder import ModelFolder
from diffusion.checkpoints.separate_vae import SeparateVae, open_vae
from diffusion.errors import ModelError
from diffusion.tasks.choices import Choice
from diffusion.tasks.rgb_preview import SD_COLOURS, XL_COLOURS, LatentColours

__all__ = ["PREVIEW_METHODS", "QuickPreview", "find_preview", "find_tiny_vae"]

PREVIEW_METHODS: Final = Catalogue(
    "preview method",
    [
        Choice("auto", "Automatic", ("automatic",)),
        Choice("full", "Full"),
        Choice("taesd", "TAESD"),
        Choice("approx", "Approx cheap", ("approximate", "latent2rgb")),
    ],
)
_FOLDERS: Final = ("vae_approx", "VAE-approx")
"""Where ComfyUI and the WebUI keep tiny decoders, beside their folders of models."""
_CHANNELS: Final = (128, 256, 512, 512)
"""Channels of the VAE whose latents Stable Diffusion 1, 2 and XL have."""


@dataclass(frozen=True)
class QuickPreview:
    """The source of previews: a VAE of their own, colours of latents, or else the model's VAE."""

    vae: SeparateVae | None = None
    colours: LatentColours | None = None


def find_preview(chosen: str | Path | None, model: ModelFolder) -> QuickPreview:
    """Return what makes a model's previews: a method by name, or the path of a VAE.

    Where a method has nothing for this model, a warning says what makes them instead. With
    ``auto`` that is no surprise, so that there is none. Any other text, and a path, is that of a
    VAE. Raises `ModelError`.
    """
    if chosen is None:
        return QuickPreview()
    method = None if isinstance(chosen, Path) else PREVIEW_METHODS.get(chosen)
    if method is None:
        return QuickPreview(open_vae(chosen, model))
    if method.name == "full":
        return QuickPreview()
    if method.name == "approx" and _has_published_latents(model):
        return QuickPreview(colours=XL_COLOURS if model.is_xl else SD_COLOURS)
    if method.name != "approx":
        tiny = find_tiny_vae(model)
        if tiny is not None:
            return QuickPreview(open_vae(tiny, model))
    if method.name != "auto":
        message = f"preview method {method.name} changes nothing: {_reason(model)}"
        warnings.warn(message, UserWarning, stacklevel=2)
    return QuickPreview()


def find_tiny_vae(model: ModelFolder) -> Path | None:
    """Return the TAESD of a model's latents: beside it, or in the Hub's cache; None for none."""
    if not _has_published_latents(model):
        return None
    name = "taesdxl" if model.is_xl else "taesd"
    for path in _places(model, name):
        if path.exists():
            return path
    with suppress(ModelError):
        found = cached_model(f"madebyollin/{name}")
        if found is not None and (found.folder / "config.json").exists():
            return found.folder
    return None


def _places(model: ModelFolder, name: str) -> Iterator[Path]:
    """Yield where a tiny decoder may lie."""
    for above in list(model.path.absolute().parents)[:2]:
        for folder in _FOLDERS:
            yield above / folder / f"{name}_decoder.safetensors"
            yield above / folder / f"{name}.safetensors"
            yield above / folder / name


def _has_published_latents(model: ModelFolder) -> bool:
    """Tell whether a model's latents are those of Stable Diffusion 1, 2 or XL."""
    return model.vae.block_out_channels == _CHANNELS and model.vae.latent_channels == len(_CHANNELS)


def _reason(model: ModelFolder) -> str:
    if not _has_published_latents(model):
        return "this model's latents are its own; its VAE makes the previews"
    file = "taesdxl_decoder.safetensors" if model.is_xl else "taesd_decoder.safetensors"
    return f"put {file} into the folder vae_approx beside the model; its VAE makes the previews"
