"""Low-rank adapters beside a model's layers: their matrices on the device, several sets at once.

Ranks are filled up with zeros, so that captured graphs stay when other adapters take a slot.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np

from diffusion.adapters.adapter import Parameter
from diffusion.adapters.decomposition import MAGNITUDE
from diffusion.adapters.kinds.low_rank import LOW_RANK, rank_of_factors
from diffusion.adapters.merged_adapter import AdaptedPart, MergedAdapter, overflow_error
from diffusion.adapters.packed_factors import PackedFactors
from diffusion.adapters.tensor_group import Scalars, TensorGroup, read_scalars
from diffusion.models.low_rank import LayerUpdate, Updates
from diffusion.models.module import trim_idle_memory
from diffusion.models.updated_layers import UpdatedLayer, layers_of
from gpucore import Buffer, Device, f32, u32
from gpustd.matmul.rank_slots import Move, Moves, Region, Source, moves_table, place_matrices

__all__ = [
    "BankLayer",
    "BankSize",
    "LayersOf",
    "RankBank",
    "RankSource",
    "Target",
    "bank_layers",
    "has_gaps",
    "is_low_rank",
    "is_low_rank_in",
    "shapes_of",
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
        return sum(math.prod(s) for each in self.layers for s in shapes_of(each.layer, self.ranks))


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
            group = merged.adapter.changes[each].group.take(merged.rank)
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
            dtype, shapes = parts[part].dtype, shapes_of(layer, size.ranks)
            down, up = (device.buffer(dtype, (slots, *shape)) for shape in shapes)
            if has_gaps(layer):
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
        """Do what `fill` does; ``failures`` counts the numbers that the bank cannot hold."""
        targets: dict[BankLayer, Target] = {}
        for each in self.size.layers:
            sizes = map(math.prod, shapes_of(each.layer, self.size.ranks))
            targets[each] = Target(each, *(slot * size for size in sizes))
        source = RankSource(failures.device, self.size.ranks, targets, adapters)
        for each in targets:
            down, up, _ = self.layers[each.layer.layer]
            source.place(each, down, up, failures)

    def updates(self, chosen: Buffer[u32]) -> Updates:
        """Return what networks read, with the slot of each image."""
        return Updates(self.layers, chosen)


def shapes_of(layer: UpdatedLayer, ranks: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the shapes of a layer's two matrices in a slot: down, up.

    Each weight of the layer has ranks of its own: side by side in ``down``. In ``up`` they stand
    one below the other, unless all weights have as many columns.
    """
    width = ranks * len(layer.names)
    return (*layer.shape, width), (width // layer.groups, layer.offsets[-1])


def has_gaps(layer: UpdatedLayer) -> bool:
    """Tell whether zeros stand between the parts of ``up`` that its weights have."""
    return layer.groups < len(layer.names)


class Target(NamedTuple):
    """Where a layer's matrices go: the key of a pair of buffers, and their first elements there."""

    buffers: Hashable
    down: int
    up: int


class RankSource:
    """The matrices of a set of adapters on the device, and where they go.

    All that it uploads is uploaded when it is made: between launches an upload waits.
    Raises `ModelFormatError`.
    """

    def __init__(
        self,
        device: Device,
        ranks: int,
        targets: Mapping[BankLayer, Target],
        adapters: Sequence[MergedAdapter],
    ) -> None:
        layouts = [_LayerLayout(layer, ranks, target) for layer, target in targets.items()]
        parts = [(layout, part) for layout in layouts for part in layout.parts(adapters)]
        groups = [part.group for _, part in parts if part.group is not None]
        packed = PackedFactors(device, groups)
        with packed.reading() as upload:
            factors = _Factors(packed, read_scalars(groups))
            moves: dict[Hashable, dict[int, list[Move]]] = {}
            for layout, part in parts:
                by_source = moves.setdefault(layout.target.buffers, {})
                for number, move in layout.moves(part, factors):
                    by_source.setdefault(number, []).append(move)
            upload()
        self._sources = packed.buffers or [device.buffer_from_array(np.zeros(1), f32)]
        every = [
            move for by_source in moves.values() for some in by_source.values() for move in some
        ]
        table, first = device.buffer_from_array(moves_table(every), u32), 0
        self._moves: dict[Hashable, list[tuple[int, Moves]]] = {}
        for key, by_source in moves.items():
            for number, some in by_source.items():
                most = max(move.size for move in some)
                found = number, Moves(table, first, len(some), most)
                self._moves.setdefault(key, []).append(found)
                first += len(some)

    def place(
        self, key: Hashable, down: Buffer[Any], up: Buffer[Any], failures: Buffer[u32]
    ) -> None:
        """Fill the two buffers of a key; ``failures`` counts the numbers that they cannot hold."""
        for number, moves in self._moves[key]:
            place_matrices(self._sources[number], moves, down, up, failures)


@dataclass(frozen=True, slots=True)
class _Part:
    """Ranks ``first`` to ``first + count`` of a weight: those of a group, and zeros after them."""

    index: int
    first: int
    count: int
    group: TensorGroup | None
    strength: float


class _LayerLayout(NamedTuple):
    """The matrices of a layer, laid out as `shapes_of` says."""

    layer: BankLayer
    ranks: int
    target: Target

    def parts(self, adapters: Sequence[MergedAdapter]) -> Iterator[_Part]:
        """Yield what puts the ranks of all adapters side by side, and zeros after them."""
        for index, parameter in enumerate(self.layer.parameters):
            found = [
                (merged, merged.strength(parameter))
                for merged in adapters
                if parameter in merged.adapter.changes and merged.strength(parameter)
            ]
            first = 0
            for number, (merged, strength) in enumerate(found):
                group = merged.adapter.changes[parameter].group.take(merged.rank)
                rank = rank_of_factors(group)
                last = number == len(found) - 1
                count = self.ranks - first if last else rank
                yield _Part(index, first, count, group, strength)
                first += rank
            if not found:
                yield _Part(index, 0, self.ranks, None, 0.0)

    def moves(self, part: _Part, factors: _Factors) -> Iterator[tuple[int, Move]]:
        """Yield the two moves of a part, with the number of the buffer that each reads."""
        index, first, count = part.index, part.first, part.count
        layer = self.layer.layer
        inputs = math.prod(layer.shape)
        (*_, pitch), (high, width) = shapes_of(layer, self.ranks)
        at = self.target.down + index * self.ranks + first
        narrow = Region(at, pitch, inputs, count, math.prod(layer.shape[:-1]))
        start, end = layer.offsets[index : index + 2]
        line = (index * self.ranks + first) % high
        wide = Region(self.target.up + line * width + start, width, count, end - start)
        (a, down), (b, up) = factors.of(part.group, part.strength)
        yield a, Move(down, narrow, goes_up=False)
        yield b, Move(up, wide, goes_up=True)


class _Factors(NamedTuple):
    """Factors on the device, and the numbers that they are multiplied by."""

    packed: PackedFactors
    scalars: Scalars

    def of(self, group: TensorGroup | None, strength: float) -> tuple[_Numbered, _Numbered]:
        """Return down and up, whose product is the change, with the numbers of their buffers.

        They have no ranks without a group. Raises `ModelFormatError`.
        """
        if group is None:
            return _NOTHING, _NOTHING
        # A small factor goes with the larger numbers, so that f16 holds the others' digits.
        factor = strength * group.scale_of(group.rank_of("down", 0), self.scalars)
        share = 2.0 ** min(0, math.floor(math.log2(abs(factor)))) if factor else 1.0
        rank, columns, rows = rank_of_factors(group), group.columns, group.rows
        down, up = (self.packed.place(group, role) for role in ("down", "up"))
        line = group.rank_of("up", 1)
        return (
            _Numbered(down.buffer, Source(down.first, columns, columns, rank, share)),
            _Numbered(up.buffer, Source(up.first, line, rank, rows, factor / share)),
        )


class _Numbered(NamedTuple):
    """A source, and the number of its buffer."""

    buffer: int
    source: Source


_NOTHING: Final = _Numbered(0, Source(0, 1, 0, 0))
