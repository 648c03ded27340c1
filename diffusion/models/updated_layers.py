"""The layers of a network that low-rank updates reach, and the weights that each is made of."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from diffusion.models.fused_linear import FusedLinear
from diffusion.models.layers import Conv2d, Linear, PointwiseConv
from diffusion.models.module import Module
from diffusion.models.weights import Parameter
from gpucore import Buffer

__all__ = ["UpdatedLayer", "layers_of"]


Layer = FusedLinear | Linear | PointwiseConv | Conv2d


@dataclass(frozen=True)
class UpdatedLayer:
    """A layer, as a mapping of updates knows it.

    ``names``: of its weights, whose results lie side by side from the columns ``offsets`` on; the
    last offset is their number. ``shape``: of an update's narrow half, without its ranks.
    """

    layer: Layer
    names: tuple[str, ...]
    offsets: tuple[int, ...]
    shape: tuple[int, ...]

    def __hash__(self) -> int:
        return hash(self.layer)  # the others follow from it, and take their time

    @property
    def matrix(self) -> Buffer[Any] | None:
        """The weights (inputs tap by tap, outputs) on the device; None where they lie otherwise."""
        if isinstance(self.layer, FusedLinear):
            weight = self.layer.weight
            return None if weight.is_quantized else weight.buffer
        if self.is_quantized or not self.layer.weight.is_filled or self._is_transformed:
            return None
        return self.layer.weight.buffer.view((math.prod(self.shape), self.offsets[-1]))

    @property
    def is_quantized(self) -> bool:
        """Tell whether the weights are quantised."""
        return self.layer.weight.is_quantized

    @property
    def is_parked(self) -> bool:
        """Tell whether the weights lie in memory of the host."""
        return self.layer.weight.is_parked

    @property
    def _is_transformed(self) -> bool:
        return isinstance(self.layer, Conv2d) and self.layer.is_transformed

    def replace_matrix(self, matrix: Buffer[Any]) -> None:
        """Take other weights, which lie as those of `matrix`."""
        if isinstance(self.layer, FusedLinear):
            self.layer.weight.replace(matrix)
        else:
            self.layer.weight.replace(matrix.view(self.layer.weight.laid_out))

    @cached_property
    def groups(self) -> int:
        """The weights, where all have as many columns; else 1."""
        even = len({b - a for a, b in itertools.pairwise(self.offsets)}) == 1
        return len(self.names) if even else 1


def layers_of(network: Module) -> Iterator[UpdatedLayer]:
    """Yield the linear layers and the convolutions of a loaded network."""
    names = {id(parameter): name for name, parameter in network.parameters()}
    fused = list(_fused_layers(network))
    members = {id(linear) for each in fused for linear in each.layers}
    for each in fused:
        weights = [linear.weight for linear in each.layers]
        yield _layer(each, weights, names, (weights[0].shape[1],))
    for module in network.modules():
        if id(module) in members:
            continue
        if isinstance(module, (Linear, PointwiseConv)):
            yield _layer(module, [module.weight], names, (module.weight.shape[1],))
        elif isinstance(module, Conv2d):
            _, inputs, *kernel = module.weight.shape
            yield _layer(module, [module.weight], names, (*kernel, inputs))


def _fused_layers(network: Module) -> Iterator[FusedLinear]:
    for module in network.modules():
        yield from (each for each in vars(module).values() if isinstance(each, FusedLinear))


def _layer(
    layer: Layer, weights: Sequence[Parameter], names: dict[int, str], shape: tuple[int, ...]
) -> UpdatedLayer:
    offsets = [0]
    for weight in weights:
        offsets.append(offsets[-1] + weight.shape[0])
    return UpdatedLayer(layer, tuple(names[id(each)] for each in weights), tuple(offsets), shape)
