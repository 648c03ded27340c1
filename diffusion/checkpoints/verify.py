"""Whether a model can be used, told from its files alone: no device, and no part held in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from diffusion.checkpoints import ModelFolder, Weights
from diffusion.checkpoints.folder import Part
from diffusion.checkpoints.nonfinite import not_finite
from diffusion.errors import ModelFormatError, list_items, quoted
from diffusion.models.clip import ClipTextModel, ProjectedClipTextModel
from diffusion.models.module import Module
from diffusion.models.unet import UNet
from diffusion.models.vae import Vae

__all__ = ["check_numbers", "fitting_weights"]

_DAMAGED: Final = "no picture can be made of these; download the model again"


def fitting_weights(model: ModelFolder) -> dict[Part, Weights]:
    """The weights of each part, opened, which are its network's parameters, shape for shape.

    No tensor is read. Raises ``ModelError``.
    """
    opened: dict[Part, Weights] = {}
    parts: tuple[Part, ...] = (*model.text_encoders, "unet", "vae")
    for part in parts:
        weights = model.weights(part)
        parameters = _network(model, part).parameters()
        weights.check({name: parameter.shape for name, parameter in parameters})
        opened[part] = weights
    return opened


def check_numbers(opened: Mapping[Part, Weights], places: Iterable[tuple[Part, str]]) -> None:
    """Read tensors, one at a time, whose numbers must all be finite.

    ``places``: part and name of each. Raises ``ModelFormatError`` for the first part with others,
    once all are read.
    """
    bad: dict[Part, list[str]] = {}
    for part, name in places:
        values = opened[part].read(name)
        count = not_finite(values)
        if count:
            bad.setdefault(part, []).append(f"{quoted(name)} ({count} of {values.size})")
    for part, told in bad.items():
        reason = list_items("numbers are infinite or NaN in", told)
        raise ModelFormatError(opened[part].path, part, reason, _DAMAGED)


def _network(model: ModelFolder, part: Part) -> Module:
    """A part's network, its weights not loaded."""
    if part == "unet":
        return UNet(model.unet)
    if part == "vae":
        return Vae(model.vae)
    kind = ProjectedClipTextModel if part == "text_encoder_2" else ClipTextModel
    return kind(model.text_encoders[part])
