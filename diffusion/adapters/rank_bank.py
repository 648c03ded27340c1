"""Low-rank adapters beside a model's layers: their matrices on the device, several sets at once.

Ranks are filled up with zeros, so that captured graphs stay when other adapters take a slot.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from diffusion.adapters.adapter import Parameter
from diffusion.adapters.decomposition import MAGNITUDE
from diffusion.adapters.kinds.low_rank import (
    LOW_RANK,
    Factors,
    low_rank_factors,
    rank_of_factors,
)
from diffusion.adapters.merging import AdaptedPart, MergedAdapter, overflow_error
from diffusion.models.low_rank import LayerUpdate, Updates
from diffusion.models.updated_layers import UpdatedLayer, updated_layers
from gpucore import Buffer, Device, u32

__all__ = [
    "BankSize",
    "LayersOf",
    "RankBank",
    "bank_layers",
    "is_low_rank",
    "size_of",
]

LEAST_RANKS: Final = 16
"""Ranks are 16, 32, 64, 128 and so on."""

Array = NDArray[np.floating]
_numbers = itertools.count()


class BankLayer(NamedTuple):
    """A layer of a ``part`` of the model."""

    part: str
    layer: UpdatedLayer

    @property
    def parameters(self) -> list[Parameter]:
        """The weights that it is made of."""
        return [Parameter(self.part, name) for name in self.layer.names]


LayersOf = Mapping[Parameter, BankLayer]
"""The layers of a model, by the weights that they are made of."""


class BankSize(NamedTuple):
    """What a bank needs to have: the ranks of a weight, and the layers."""

    ranks: int
    layers: frozenset[BankLayer]

    def joined(self, other: BankSize) -> BankSize:
        """Return the size that holds both."""
        return BankSize(max(self.ranks, other.ranks), self.layers | other.layers)

    @property
    def elements(self) -> int:
        """Elements of a slot."""
        return sum(math.prod(s) for each in self.layers for s in _shapes(each.layer, self.ranks))


def bank_layers(parts: Mapping[str, AdaptedPart]) -> LayersOf:
    """Return the layers of all parts of a model that low-rank updates reach."""
    layers = (
        BankLayer(part, layer)
        for part, adapted in parts.items()
        for layer in updated_layers(adapted.network)
    )
    return {parameter: layer for layer in layers for parameter in layer.parameters}


def is_low_rank(adapters: Iterable[MergedAdapter], layers: LayersOf) -> bool:
    """Tell whether adapters can stand beside the layers: LoRA and LoCon without magnitudes."""
    return all(
        merged.adapter.changes[each].kind is LOW_RANK
        and MAGNITUDE not in merged.adapter.changes[each].group
        and each in layers
        for merged in adapters
        for each in merged.changes()
    )


def size_of(adapters: Sequence[MergedAdapter], layers: LayersOf) -> BankSize:
    """Return the size that a set of adapters needs. All of its ranks stand side by side."""
    ranks: dict[Parameter, int] = {}
    for merged in adapters:
        for each in merged.changes():
            group = replace(merged.adapter.changes[each].group, most_rank=merged.rank)
            ranks[each] = ranks.get(each, 0) + rank_of_factors(group)
    most = max(ranks.values(), default=1)
    padded = max(LEAST_RANKS, 1 << (most - 1).bit_length())
    return BankSize(padded, frozenset(layers[each] for each in ranks))


@dataclass(frozen=True, eq=False)
class RankBank:
    """Matrices for ``slots`` sets of adapters; ``layers``: as networks read them.

    ``number``: another one for each bank.
    """

    size: BankSize
    slots: int
    layers: Mapping[object, LayerUpdate]
    number: int

    @classmethod
    def make(
        cls, device: Device, parts: Mapping[str, AdaptedPart], size: BankSize, slots: int
    ) -> RankBank:
        """Return a bank whose slots hold nothing that is known."""
        layers = {}
        for part, layer in size.layers:
            dtype, shapes = parts[part].dtype, _shapes(layer, size.ranks)
            down, up = (device.buffer(dtype, (slots, *shape)) for shape in shapes)
            layers[layer.layer] = LayerUpdate(down, up, layer.groups)
        return cls(size, slots, layers, next(_numbers))

    def fill(self, slot: int, adapters: Sequence[MergedAdapter]) -> None:
        """Put a set of adapters into a slot. Raises `ModelFormatError`."""
        for each in self.size.layers:
            down, up, _ = self.layers[each.layer.layer]
            factors = _matrices(each, self.size.ranks, adapters, down.dtype.numpy)
            down.write_slice(slot, factors.down[None])
            up.write_slice(slot, factors.up[None])

    def updates(self, chosen: Buffer[u32]) -> Updates:
        """Return what networks read, with the slot of each image."""
        return Updates(self.layers, chosen)


def _shapes(layer: UpdatedLayer, ranks: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the shapes of a layer's two matrices in a slot: down, up.

    Each weight of the layer has ranks of its own: side by side in ``down``. In ``up`` they stand
    one below the other, unless all weights have as many columns.
    """
    width = ranks * len(layer.names)
    return (*layer.shape, width), (width // layer.groups, layer.offsets[-1])


def _matrices(
    each: BankLayer, ranks: int, adapters: Sequence[MergedAdapter], dtype: np.dtype[np.generic]
) -> Factors:
    """Return the matrices of a layer in a slot, see `_shapes`. Raises `ModelFormatError`."""
    layer = each.layer
    down, up = (np.zeros(shape, dtype) for shape in _shapes(layer, ranks))
    for index, parameter in enumerate(each.parameters):
        first = index * ranks
        columns = slice(*layer.offsets[index : index + 2])
        for merged in adapters:
            strength = merged.strength(parameter)
            if not strength or parameter not in merged.adapter.changes:
                continue
            group = replace(merged.adapter.changes[parameter].group, most_rank=merged.rank)
            found = _balance(low_rank_factors(group, strength))
            rows = slice(first, first + found.up.shape[1])
            high = slice(rows.start % len(up), rows.start % len(up) + found.up.shape[1])
            *kernel, inputs = layer.shape
            narrow = found.down.reshape(-1, inputs, *kernel)
            with np.errstate(over="ignore"):
                up[high, columns] = found.up.T
                down[..., rows] = np.moveaxis(narrow, (1, 0), (-2, -1))
            count = np.count_nonzero(~np.isfinite(up[high, columns]))
            count += np.count_nonzero(~np.isfinite(down[..., rows]))
            if count:
                raise overflow_error(merged, int(count))
            first = rows.stop
    return Factors(up, down)


def _balance(factors: Factors) -> Factors:
    """Return factors of one size, by a power of two, so that f16 holds the digits of both."""
    up, down = factors
    most = float(np.abs(up).max(initial=0)), float(np.abs(down).max(initial=0))
    if not all(most):
        return factors
    power = np.float32(2.0 ** round(np.log2(most[1] / most[0]) / 2))
    return Factors(up * power, down / power)
