"""Golden IP-Adapters and their image encoder, written as files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from safetensors.numpy import save_file

from diffusion.control import ImagePrompt
from tests.goldens import family_folders
from tests.goldens import image_prompt_cases as cases

__all__ = ["adapter_tensors", "image_prompt", "write_adapter", "write_encoder"]


def adapter_tensors(kind: str, model: str) -> dict[str, object]:
    """Return a golden adapter's tensors by the names of its file."""
    context = family_folders.config(model, "unet")["cross_attention_dim"]
    widths = cases.saved(f"widths.{model}")
    return dict(cases.adapter_parameters(kind, model, context, widths))


def write_adapter(path: Path, kind: str, model: str) -> Path:
    """Write a golden adapter as its authors do; return its file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(adapter_tensors(kind, model), path)
    return path


def write_encoder(folder: Path) -> Path:
    """Write the golden image encoder as transformers does; return its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {"architectures": ["CLIPVisionModelWithProjection"], "model_type": "clip_vision_model"}
    text = json.dumps({**config, **cases.VISION})
    (folder / "config.json").write_text(text, encoding="utf-8")
    save_file(cases.vision_parameters(), folder / "model.safetensors")
    return folder


def image_prompt(folder: Path, use: cases.Use, model: str, size: tuple[int, int]) -> ImagePrompt:
    """Return the settings of an adapter's use in a case, with its files below ``folder``."""
    path = folder / model / f"{use.kind}.safetensors"
    if not path.exists():
        write_adapter(path, use.kind, model)
    if not (folder / model / "image_encoder").exists():
        write_encoder(folder / model / "image_encoder")
    region = Image.fromarray(cases.region(*size)) if use.region else None
    return ImagePrompt(
        path,
        pictures(use.images),
        weight=use.scale,
        layer_weights=use.layers,
        region=region,
    )


def pictures(indices: Sequence[int]) -> tuple[Image.Image, ...]:
    """Return pictures of the cases."""
    return tuple(map(cases.picture, indices))
