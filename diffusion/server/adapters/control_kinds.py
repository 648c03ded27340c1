"""What a file among the control networks is, by the names of its tensors."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal

from diffusion.checkpoints.control.adapters import is_adapter
from diffusion.checkpoints.image_prompts import is_ip_adapter
from diffusion.checkpoints.part_files import find_weights
from diffusion.checkpoints.weights import open_weights
from diffusion.errors import ModelError

__all__ = ["ControlKind", "kind_of_control"]

ControlKind = Literal["control", "ip-adapter", "image-encoder"]
"""A network that leads; one that reads pictures as a prompt; the encoder that such a one needs."""

_STEMS: Final = ("diffusion_pytorch_model", "model")
_CONTROLS: Final = ("controlnet_mid_block.weight", "middle_block_out.0.weight")
_ENCODERS: Final = ("embeddings.class_embedding",)


def kind_of_control(place: Path) -> ControlKind | None:
    """Return what a file or a folder is; None where it cannot be read, or its names do not tell."""
    files = [place]
    if place.is_dir():
        files = []
        for stem in _STEMS:
            with suppress(ModelError):
                files.append(find_weights(place, stem))
    for file in files:
        with suppress(ModelError):
            return _kind_of_names(open_weights(file, ()).entries.keys())
    return None


def _kind_of_names(names: Collection[str]) -> ControlKind | None:
    if is_ip_adapter(names):
        return "ip-adapter"
    if any(name.endswith(_ENCODERS) for name in names):
        return "image-encoder"
    return "control" if is_adapter(names) or any(n.endswith(_CONTROLS) for n in names) else None
