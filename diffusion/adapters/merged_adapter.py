"""`MergedAdapter`: an adapter with its strengths; `AdaptedPart`: a network that it changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from diffusion.adapters.adapter import Adapter, Parameter
from diffusion.adapters.element_weights import WHOLE, LayerWeights
from diffusion.checkpoints import Weights
from diffusion.checkpoints.single_file.name_pairs import NamePairs
from diffusion.errors import ModelFormatError
from diffusion.models.module import Module
from gpucore import DType

__all__ = ["AdaptedPart", "MergedAdapter", "overflow_error"]


class AdaptedPart(NamedTuple):
    """A network that adapters change, and the file that its weights are in."""

    network: Module
    weights: Weights
    dtype: type[DType]


class MergedAdapter(NamedTuple):
    """An adapter and its strengths in the text encoders and in the UNet.

    ``layers``: factors of these in the model's layers. ``rank``: how many ranks count. ``names``:
    the names of the UNet's parameters in single files, which number the blocks.
    """

    adapter: Adapter
    text: float
    unet: float
    layers: LayerWeights = WHOLE
    rank: int | None = None
    names: NamePairs | None = None

    def strength(self, parameter: Parameter) -> float:
        """Return the strength in a parameter of the model."""
        whole = self.unet if parameter.part == "unet" else self.text
        if self.layers == WHOLE or self.names is None:
            return whole
        single = self.names.single(parameter.name) if parameter.part == "unet" else None
        return whole * self.layers.ratio(parameter.name, single)

    def changes(self) -> set[Parameter]:
        """Return the parameters that it changes."""
        return {each for each in self.adapter.changes if self.strength(each)}


def overflow_error(adapters: Sequence[MergedAdapter], count: int) -> ModelFormatError:
    """Return the error for weights that adapters make infinite or NaN.

    Raises the one for a tensor that has such numbers itself, if there is one.
    """
    for merged in adapters:
        for parameter in merged.changes():
            group = merged.adapter.changes[parameter].group
            for role in group.names:
                group.read(role)
    reason = f"makes {count} weights infinite or NaN"
    hint = "give a smaller weight, or --dtype f32"
    return ModelFormatError(adapters[-1].adapter.path, "weights", reason, hint)
