"""Merging low-rank adapters into weights where they lie, without reading the model's file.

The weights before are kept beside, so that other adapters, or none, take little time. Where there
is no memory for that, they are read from the file then.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from typing import Any, Final

from diffusion.adapters.adapter import Parameter
from diffusion.adapters.merged_adapter import AdaptedPart, MergedAdapter
from diffusion.adapters.rank_bank import (
    BankLayer,
    BankSize,
    LayersOf,
    RankBank,
    bank_layers,
    is_low_rank_in,
    size_of,
)
from diffusion.models.module import trim_idle_memory
from gpucore import Buffer, Device, u32
from gpustd import count_nonfinite
from gpustd.matmul.low_rank import low_rank_sum

__all__ = ["DirectMerging"]

_SHARE_KEPT: Final = 4
"""Weights that are kept take at most one of so many parts of the device's memory."""
_UNKNOWN: Final = 4 << 30
"""The memory of a device that does not tell."""


class DirectMerging:
    """The layers whose weights are changed on the device, in the buffers that they lie in."""

    def __init__(self, device: Device, parts: Mapping[str, AdaptedPart]) -> None:
        self._device = device
        self._parts = parts
        self._kept: dict[BankLayer, Buffer[Any]] = {}
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

    def restore(self, but: Collection[BankLayer] = ()) -> set[Parameter]:
        """Put kept weights back, but those of some layers, which `merge` changes next.

        Return the parameters that have to be read from the file.
        """
        lost: set[Parameter] = set()
        for layer in self._changed:
            if layer not in self._kept:
                lost |= set(layer.parameters)
            elif layer not in but:
                _matrix(layer).copy_from(self._kept[layer])
        if not but:
            self._kept.clear()
        self._changed &= set(but)
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
        size = size_of(adapters, self._layers)
        originals = [self._keep(layer, _matrix(layer)) for layer in layers]
        bank = RankBank.make(self._device, self._parts, BankSize(size.ranks, frozenset(layers)), 1)
        bank.place(0, adapters, counts)
        for layer, original in zip(layers, originals, strict=True):
            down, up, groups = bank.layers[layer.layer.layer]
            merged = low_rank_sum(original, down, up, groups)
            count_nonfinite(merged, counts)
            self._changed.add(layer)
            if layer.layer.is_parked:
                layer.layer.replace_matrix(merged)
            else:
                _matrix(layer).copy_from(merged)
        trim_idle_memory(self._device)

    def _keep(self, layer: BankLayer, matrix: Buffer[Any]) -> Buffer[Any]:
        """Return a copy of a layer's weights as they were, or the weights without memory for it.

        Those that are parked are not kept: that would take what parking them saved.
        """
        if layer in self._kept:
            return self._kept[layer]
        if layer.layer.is_parked:
            return matrix
        most = (self._device.memory_size or _UNKNOWN) // _SHARE_KEPT
        if sum(each.nbytes for each in self._kept.values()) + matrix.nbytes > most:
            return matrix
        copy = self._device.buffer(matrix.dtype, matrix.shape)
        copy.copy_from(matrix)
        self._kept[layer] = copy
        return copy


def _matrix(layer: BankLayer) -> Buffer[Any]:
    matrix = layer.layer.matrix
    assert matrix is not None  # those without are not in `DirectMerging.layers`
    return matrix
