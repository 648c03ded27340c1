"""Checks of a whole model that read its files alone: no device, one tensor in memory at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from diffusion.checkpoints import ModelFolder, Weights
from diffusion.checkpoints.model_folder import Part
from diffusion.checkpoints.nonfinite import count_nonfinite
from diffusion.errors import NAME_LENGTH, ModelFormatError, list_items, quote
from diffusion.models.clip import ClipTextModel, ProjectedClipTextModel
from diffusion.models.module import Module
from diffusion.models.unet import UNet
from diffusion.models.vae import Vae

__all__ = ["check_finite", "check_weights"]

_DAMAGED: Final = "no picture can be made of these; download the model again"


def check_weights(model: ModelFolder) -> dict[Part, Weights]:
    """Open each part's weights and compare them with its network's parameters, shape for shape.

    No tensor is read. Raises ``ModelError``.
    """
    opened: dict[Part, Weights] = {}
    parts: tuple[Part, ...] = (*model.text_encoders, "unet", "vae")
    for part in parts:
        weights = model.weights(part)
        parameters = _make_network(model, part).parameters()
        weights.check({name: parameter.shape for name, parameter in parameters})
        opened[part] = weights
    return opened


def check_finite(opened: Mapping[Part, Weights], tensors: Iterable[tuple[Part, str]]) -> None:
    """Read tensors, one at a time, and refuse infinities and NaN.

    ``tensors``: part and name of each. Raises ``ModelFormatError`` for the first part that has
    some, once all are read.
    """
    bad: dict[Part, list[str]] = {}
    for part, name in tensors:
        values = opened[part].read(name)
        count = count_nonfinite(values)
        if count:
            text = f"{quote(name, NAME_LENGTH)} ({count} of {values.size})"
            bad.setdefault(part, []).append(text)
    for part, names in bad.items():
        reason = list_items("numbers must be finite, got infinities or NaN in", names)
        raise ModelFormatError(opened[part].path, part, reason, _DAMAGED)


def _make_network(model: ModelFolder, part: Part) -> Module:
    """Return a part's network without its weights."""
    if part == "unet":
        return UNet(model.unet)
    if part == "vae":
        return Vae(model.vae)
    kind = ProjectedClipTextModel if part == "text_encoder_2" else ClipTextModel
    return kind(model.text_encoders[part])
