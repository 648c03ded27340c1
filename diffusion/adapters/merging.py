"""Merging adapters into a model's weights on the device, and taking them out again.

A weight is changed in f32 by each adapter in turn, and rounded once. It comes from the model's
file, or from the device where `DirectMerging` can change it there. Nothing is ever subtracted:
without adapters a weight is what `load` makes of the file, bit by bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffusion.adapters.adapter import Parameter
from diffusion.adapters.direct_merging import DirectMerging
from diffusion.adapters.merged_adapter import AdaptedPart, MergedAdapter, overflow_error
from diffusion.adapters.tensor_group import upload
from diffusion.models.refilling import refill
from gpucore import Buffer, Device, f32, u32
from gpustd import cast, count_nonfinite

__all__ = ["Merger"]


@dataclass
class Merger:
    """The adapters that are merged into a model now."""

    device: Device
    parts: Mapping[str, AdaptedPart]
    _reloaded: set[Parameter] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._direct = DirectMerging(self.device, self.parts)

    def merge(self, adapters: Sequence[MergedAdapter]) -> None:
        """Put ``adapters`` in the place of those that are merged now.

        Captured graphs and keys of prompts are out of date afterwards. Raises `ModelFormatError`
        where a tensor or a new weight is not finite; the model is then without adapters.
        """
        direct = self._direct.layers(adapters)
        names = {name for layer in direct for name in layer.parameters}
        after = {each for merged in adapters for each in merged.changes()} - names
        counts = self.device.buffer_from_array(np.zeros(1), u32)
        before, self._reloaded = self._reloaded, after
        try:
            before |= self._direct.restore(direct)
            self._refill(before | after, after, adapters, counts)
            if before | after:
                direct = self._direct.layers(adapters)
            self._direct.merge(direct, adapters, counts)
            if found := int(counts.read()[0]):
                raise overflow_error(adapters, found)
        except BaseException:
            self._reloaded = set()
            self._refill(before | after | self._direct.restore(), set(), (), counts)
            raise

    def _refill(
        self,
        parameters: set[Parameter],
        changed: set[Parameter],
        adapters: Sequence[MergedAdapter],
        counts: Buffer[u32],
    ) -> None:
        """Fill parameters with the file's weights, those of ``changed`` changed by ``adapters``."""
        if parameters:
            self._direct.forget_layers()
        for part, adapted in self.parts.items():
            names = {each.name for each in parameters if each.part == part}
            if not names:
                continue

            def source(
                name: str, part: str = part, adapted: AdaptedPart = adapted
            ) -> NDArray[Any] | Buffer[Any]:
                weight, parameter = adapted.weights.read(name), Parameter(part, name)
                if parameter not in changed:
                    return weight
                return self._merge_weight(parameter, weight, adapters, counts)

            with self.device.region("loading"):
                refill(adapted.network, names, source, self.device, adapted.dtype)

    def _merge_weight(
        self,
        parameter: Parameter,
        weight: NDArray[Any],
        adapters: Sequence[MergedAdapter],
        counts: Buffer[u32],
    ) -> Buffer[Any]:
        """Return a weight with its changes, rounded."""
        found = [
            (merged.adapter.changes[parameter], merged.strength(parameter), merged.rank)
            for merged in adapters
            if parameter in merged.adapter.changes and merged.strength(parameter)
        ]
        changed = upload(self.device, weight.reshape(weight.shape[0], -1))
        for change, strength, rank in found:
            changed = change.apply(changed, strength, rank)
        dtype = f32 if weight.ndim == 1 else self.parts[parameter.part].dtype
        rounded = cast(changed, dtype)
        count_nonfinite(rounded, counts)
        return rounded.view(weight.shape)
