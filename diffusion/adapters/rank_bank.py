"""Low-rank adapters beside a model's layers: their matrices on the device, several sets at once.

Ranks are filled up with zeros, so that captured graphs stay when other adapters take a slot.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from diffusion.adapters.adapter import Parameter
from diffusion.adapters.decomposition import MAGNITUDE
from diffusion.adapters.kinds.low_rank import LOW_RANK, rank_of_factors, stored_factors
from diffusion.adapters.merged_adapter import AdaptedPart, MergedAdapter, overflow_error
from diffusion.adapters.tensor_group import TensorGroup
from diffusion.models.low_rank import LayerUpdate, Updates
from diffusion.models.module import trim_idle_memory
from diffusion.models.updated_layers import UpdatedLayer, layers_of
from gpucore import Buffer, Device, f16, f32, u32
from gpustd.matmul.rank_slots import Region, Source, place_matrix

__all__ = [
    "BankLayer",
    "BankSize",
    "LayersOf",
    "RankBank",
    "bank_layers",
    "is_low_rank",
    "is_low_rank_in",
    "size_of",
]

LEAST_RANKS: Final = 16
"""Ranks are 16, 32, 64, 128 and so on."""

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
    """The size of a bank: the ranks of a weight, and the layers."""

    ranks: int
    layers: frozenset[BankLayer]

    def join(self, other: BankSize) -> BankSize:
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
        for layer in layers_of(adapted.network)
    )
    return {parameter: layer for layer in layers for parameter in layer.parameters}


def is_low_rank(adapters: Iterable[MergedAdapter], layers: LayersOf) -> bool:
    """Tell whether adapters can stand beside the layers: LoRA and LoCon without magnitudes."""
    return all(
        each in layers and is_low_rank_in(merged, each)
        for merged in adapters
        for each in merged.changes()
    )


def is_low_rank_in(merged: MergedAdapter, parameter: Parameter) -> bool:
    """Tell whether what an adapter changes in one parameter is low rank, or nothing."""
    change = merged.adapter.changes.get(parameter)
    return change is None or (change.kind is LOW_RANK and MAGNITUDE not in change.group)


def size_of(adapters: Sequence[MergedAdapter], layers: LayersOf) -> BankSize:
    """Return the size that a set of adapters needs. All of its ranks stand side by side."""
    ranks: dict[Parameter, int] = {}
    for merged in adapters:
        for each in merged.changes() & layers.keys():
            if not is_low_rank_in(merged, each):
                continue
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
        layers: dict[object, LayerUpdate] = {}
        for part, layer in size.layers:
            dtype, shapes = parts[part].dtype, _shapes(layer, size.ranks)
            down, up = (device.buffer(dtype, (slots, *shape)) for shape in shapes)
            if layer.groups < len(layer.names):  # between the weights' own parts are zeros
                up = device.buffer_from_array(np.zeros(up.shape), dtype)
            layers[layer.layer] = LayerUpdate(down, up, layer.groups)
        return cls(size, slots, layers, next(_numbers))

    def fill(self, slot: int, adapters: Sequence[MergedAdapter]) -> None:
        """Put a set of adapters into a slot. Raises `ModelFormatError`."""
        device = next(iter(self.layers.values())).down.device
        failures = device.buffer_from_array(np.zeros(1), u32)
        self.place(slot, adapters, failures)
        trim_idle_memory(device)
        if found := int(failures.read()[0]):
            raise overflow_error(adapters, found)

    def place(self, slot: int, adapters: Sequence[MergedAdapter], failures: Buffer[u32]) -> None:
        """Do what `fill` does; ``failures`` counts the numbers that the bank cannot hold.

        All matrices are uploaded before the first launch: between launches an upload waits.
        """
        moves: list[_Move] = []
        for each in self.size.layers:
            down, up, _ = self.layers[each.layer.layer]
            moves += _SlotOfLayer(each, self.size.ranks, slot, down, up).moves(adapters)
        for source, target, region in moves:
            place_matrix(source, target, region, failures)

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


class _Move(NamedTuple):
    """A matrix of a file, and the place in a bank that it goes to."""

    source: Source
    target: Buffer[Any]
    region: Region


class _SlotOfLayer(NamedTuple):
    """The matrices of a layer in a slot, laid out as `_shapes` says."""

    layer: BankLayer
    ranks: int
    slot: int
    down: Buffer[Any]
    up: Buffer[Any]

    def moves(self, adapters: Sequence[MergedAdapter]) -> Iterator[_Move]:
        """Yield what puts the ranks of all adapters side by side, and zeros after them."""
        for index, parameter in enumerate(self.layer.parameters):
            found = [
                (merged, merged.strength(parameter))
                for merged in adapters
                if parameter in merged.adapter.changes and merged.strength(parameter)
            ]
            first = 0
            for number, (merged, strength) in enumerate(found):
                group = replace(merged.adapter.changes[parameter].group, most_rank=merged.rank)
                rank = rank_of_factors(group)
                last = number == len(found) - 1
                count = self.ranks - first if last else rank
                yield from self._moves(index, first, count, group, strength)
                first += rank
            if not found:
                yield from self._moves(index, 0, self.ranks, None, 0.0)

    def _moves(
        self, index: int, first: int, count: int, group: TensorGroup | None, strength: float
    ) -> Iterator[_Move]:
        """Yield ``count`` ranks of weight ``index`` from ``first`` on: those of a group, zeros."""
        device, layer = self.down.device, self.layer.layer
        inputs, pitch = math.prod(layer.shape), self.down.shape[-1]
        down, up = _sources(device, group, strength, inputs)
        at = self.slot * inputs * pitch + index * self.ranks + first
        narrow = Region(at, pitch, inputs, count, math.prod(layer.shape[:-1]))
        yield _Move(down, self.down, narrow)
        _, high, width = self.up.shape
        start, end = layer.offsets[index : index + 2]
        line = self.slot * high + (index * self.ranks + first) % high
        wide = Region(line * width + start, width, count, end - start)
        yield _Move(up, self.up, wide)


def _sources(
    device: Device, group: TensorGroup | None, strength: float, inputs: int
) -> tuple[Source, Source]:
    """Return down (rank, ``inputs``) and up (rows, rank), whose product is the change.

    They have no ranks without a group. Raises `ModelFormatError`.
    """
    if group is None:
        nothing = Source(device.buffer_from_array(np.zeros(1), f32), 1, 0, 0)
        return nothing, nothing
    found = stored_factors(group)
    # A small factor goes with the numbers that are larger, so that f16 holds the others' digits.
    factor = strength * found.scale
    share = 2.0 ** min(0, math.floor(math.log2(abs(factor)))) if factor else 1.0
    rank, rows = rank_of_factors(group), group.rows
    down = Source(_upload(device, found.down), inputs, inputs, rank, share)
    up = Source(_upload(device, found.up), found.up.shape[1], rank, rows, factor / share)
    return down, up


def _upload(device: Device, array: NDArray[Any]) -> Buffer[Any]:
    """Return an array on the device, as it is stored if the device has that type, else in f32."""
    halves = array.dtype == np.float16 and device.has_f16
    with np.errstate(over="ignore"):
        return device.buffer_from_array(np.ascontiguousarray(array), f16 if halves else f32)
