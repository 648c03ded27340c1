"""Merging low-rank adapters into weights on the device, without reading the model's file.

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
    RankSource,
    bank_layers,
    is_low_rank_in,
    size_of,
    update_of,
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
        self._changed &= changed_next
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
        size = BankSize(size_of(adapters, self._layers).ranks, frozenset(layers))
        source = RankSource(self._device, size, 0, adapters)
        for layer in layers:
            original = self._keep(layer)
            update = update_of(self._device, original.dtype, layer, size.ranks, 1)
            source.place(layer, update, counts)
            merged = low_rank_sum(original, *update)
            count_nonfinite(merged, counts)
            self._changed.add(layer)
            layer.layer.replace_matrix(merged)
        trim_idle_memory(self._device)

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
