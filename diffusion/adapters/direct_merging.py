"""Merging low-rank adapters into weights where they lie, without reading the model's file.

The weights before are kept, so that taking adapters out takes no time; where there is no memory for
that, they are read from the file then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from diffusion.adapters.adapter import Parameter
from diffusion.adapters.merged_adapter import AdaptedPart, MergedAdapter
from diffusion.adapters.rank_bank import (
    BankLayer,
    BankSize,
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


class _Kept(NamedTuple):
    """A layer whose weights were changed, and what they were before."""

    layer: BankLayer
    matrix: Buffer[Any]


class DirectMerging:
    """The layers whose weights are changed on the device."""

    def __init__(self, device: Device, parts: Mapping[str, AdaptedPart]) -> None:
        self._device = device
        self._parts = parts
        self._kept: list[_Kept] = []
        self._lost: set[Parameter] = set()

    def layers(self, adapters: Sequence[MergedAdapter]) -> list[BankLayer]:
        """Return the layers whose weights adapters change, all of them by low-rank matrices."""
        if not adapters:
            return []
        layers = bank_layers(self._parts)
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

    def restore(self) -> set[Parameter]:
        """Put kept weights back; return the parameters that have to be read from the file."""
        for kept in self._kept:
            kept.layer.layer.replace_matrix(kept.matrix)
        self._kept.clear()
        lost, self._lost = self._lost, set()
        return lost

    def merge(
        self, names: Iterable[Parameter], adapters: Sequence[MergedAdapter], counts: Buffer[u32]
    ) -> None:
        """Change the layers of parameters, whose weights are those of the model's file now.

        ``counts`` counts new weights that are not finite. Raises `ModelFormatError`.
        """
        layers = bank_layers(self._parts)
        size = size_of(adapters, layers)
        left = (self._device.memory_size or _UNKNOWN) // _SHARE_KEPT
        for layer in {layers[each] for each in names}:
            only = BankSize(size.ranks, frozenset({layer}))
            bank = RankBank.make(self._device, self._parts, only, 1)
            bank.place(0, adapters, counts)
            matrix = layer.layer.matrix
            assert matrix is not None
            down, up, groups = bank.layers[layer.layer.layer]
            merged = low_rank_sum(matrix, down, up, groups)
            count_nonfinite(merged, counts)
            left -= matrix.nbytes
            if left >= 0:
                self._kept.append(_Kept(layer, matrix))
            else:
                self._lost |= set(layer.parameters)
            layer.layer.replace_matrix(merged)
            trim_idle_memory(self._device)
