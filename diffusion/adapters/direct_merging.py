"""Merging low-rank adapters into weights on the device, without reading the model's file.

The weights before are kept beside, so that other adapters, or none, take little time. Where there
is no memory for that, they are read from the file then.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np

from diffusion.adapters.adapter import Parameter
from diffusion.adapters.merged_adapter import AdaptedPart, MergedAdapter
from diffusion.adapters.rank_bank import (
    BankLayer,
    LayersOf,
    RankSource,
    Target,
    bank_layers,
    has_gaps,
    is_low_rank_in,
    shapes_of,
    size_of,
)
from diffusion.models.module import trim_idle_memory
from gpucore import Buffer, Device, DType, u32
from gpucore.integers import ceil_div
from gpustd.matmul.low_rank import PackedUpdate, low_rank_sum

__all__ = ["DirectMerging"]

_SHARE_KEPT: Final = 4
"""Weights that are kept take at most one of so many parts of the device's memory."""
_ALIGNMENT: Final = 16
"""Elements of which matrices begin at a multiple."""
_BATCH: Final = 32 << 20
"""Bytes of low-rank matrices that are made at once."""
_UNKNOWN: Final = 4 << 30
"""The memory of a device that does not tell."""


class DirectMerging:
    """The layers whose weights are changed on the device."""

    def __init__(self, device: Device, parts: Mapping[str, AdaptedPart]) -> None:
        self._device = device
        self._parts = parts
        self._kept: dict[BankLayer, Buffer[Any]] = {}
        self._kept_bytes = 0
        self._changed: set[BankLayer] = set()

    @cached_property
    def _layers(self) -> LayersOf:
        return bank_layers(self._parts)

    def layers(self, adapters: Sequence[MergedAdapter]) -> list[BankLayer]:
        """Return the layers whose weights adapters change, all of them by low-rank matrices."""
        layers = self._layers if adapters else {}
        changed = {each for merged in adapters for each in merged.changes() if each in layers}
        touched = {layers[each] for each in changed}
        return [
            layer
            for layer in touched
            if layer.layer.matrix is not None
            and all(
                is_low_rank_in(merged, each) for merged in adapters for each in layer.parameters
            )
        ]

    def forget_layers(self) -> None:
        """Find the layers anew: those that are fused were made anew with other weights."""
        self.__dict__.pop("_layers", None)

    def restore(self, but: Collection[BankLayer] = ()) -> set[Parameter]:
        """Put kept weights back, but those of some layers, which `merge` changes next.

        Return the parameters that have to be read from the file.
        """
        lost: set[Parameter] = set()
        changed_next = set(but)
        for layer in self._changed:
            if layer not in self._kept:
                lost |= set(layer.parameters)
            elif layer not in changed_next:
                layer.layer.replace_matrix(self._kept[layer])
        if not but:
            self._kept.clear()
            self._kept_bytes = 0
        self._changed &= changed_next & self._kept.keys()
        return lost

    def merge(
        self,
        layers: Collection[BankLayer],
        adapters: Sequence[MergedAdapter],
        counts: Buffer[u32],
    ) -> None:
        """Change layers, whose weights are kept, or else those of the model's file now.

        ``counts`` counts new weights that are not finite. Raises `ModelFormatError`.
        """
        ranks = size_of(adapters, self._layers).ranks
        batches = list(_batches(layers, self._parts, ranks))
        targets = {layer: target for each in batches for layer, target in each.targets.items()}
        source = RankSource(self._device, ranks, targets, adapters)
        for batch in batches:
            down, up = batch.buffers(self._device)
            source.place(batch.number, down, up, counts)
            for layer, (_, *starts) in batch.targets.items():
                _, (rows, _) = shapes_of(layer.layer, ranks)
                update = PackedUpdate(down, up, rows, layer.layer.groups, *starts)
                self._merge_layer(layer, update, counts)
        trim_idle_memory(self._device)

    def _merge_layer(self, layer: BankLayer, update: PackedUpdate, counts: Buffer[u32]) -> None:
        merged = low_rank_sum(self._keep(layer), update, counts)
        self._changed.add(layer)
        layer.layer.replace_matrix(merged)

    def _keep(self, layer: BankLayer) -> Buffer[Any]:
        """Return a layer's weights as they were; keep them where there is memory for it.

        Those that are parked are not kept: that would take what parking them saved.
        """
        if layer in self._kept:
            return self._kept[layer]
        matrix = layer.layer.matrix
        assert matrix is not None  # those without are not in `layers`
        most = (self._device.memory_size or _UNKNOWN) // _SHARE_KEPT
        if not layer.layer.is_parked and self._kept_bytes + matrix.nbytes <= most:
            self._kept[layer] = matrix
            self._kept_bytes += matrix.nbytes
        return matrix


@dataclass
class _Batch:
    """Layers whose low-rank matrices lie side by side in two buffers while they are merged."""

    number: int
    dtype: type[DType]
    targets: dict[BankLayer, Target] = field(default_factory=dict)
    sizes: tuple[int, int] = (0, 0)

    def add(self, layer: BankLayer, ranks: int) -> None:
        """Take a layer."""
        self.targets[layer] = Target(self.number, *self.sizes)
        more = (math.prod(shape) for shape in shapes_of(layer.layer, ranks))
        down, up = (
            ceil_div(size + each, _ALIGNMENT) * _ALIGNMENT
            for size, each in zip(self.sizes, more, strict=True)
        )
        self.sizes = down, up

    def buffers(self, device: Device) -> tuple[Buffer[Any], Buffer[Any]]:
        """Return memory for the matrices."""
        down, up = (device.buffer(self.dtype, size) for size in self.sizes)
        if any(has_gaps(each.layer) for each in self.targets):
            up = device.buffer_from_array(np.zeros(self.sizes[1]), self.dtype)
        return down, up


def _batches(
    layers: Iterable[BankLayer], parts: Mapping[str, AdaptedPart], ranks: int
) -> Iterator[_Batch]:
    """Yield batches of layers of one dtype, of some megabytes."""
    numbers = itertools.count()
    open_ones: dict[type[DType], _Batch] = {}
    for layer in layers:
        dtype = parts[layer.part].dtype
        batch = open_ones.setdefault(dtype, _Batch(next(numbers), dtype))
        batch.add(layer, ranks)
        if max(batch.sizes) * dtype.itemsize >= _BATCH:
            yield open_ones.pop(dtype)
    yield from open_ones.values()
