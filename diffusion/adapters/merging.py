"""Merging adapters into a model's weights on the device, and taking them out again.

A weight is read from the model's file, changed in f32 by each adapter in turn, and rounded once.
Nothing is ever subtracted: without adapters a weight is what `load` makes of the file, bit by bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from diffusion.adapters.adapter import Adapter, Parameter
from diffusion.adapters.block_weights import block_ratio
from diffusion.adapters.tensor_group import upload
from diffusion.checkpoints import Weights
from diffusion.checkpoints.single_file.name_pairs import NamePairs
from diffusion.errors import ModelFormatError
from diffusion.models.module import Module
from diffusion.models.refilling import refill
from gpucore import Buffer, Device, DType, f32, u32
from gpustd import cast, count_nonfinite

__all__ = ["AdaptedPart", "MergedAdapter", "Merger", "overflow_error"]


class AdaptedPart(NamedTuple):
    """A network that adapters change, and the file that its weights are in."""

    network: Module
    weights: Weights
    dtype: type[DType]


class MergedAdapter(NamedTuple):
    """An adapter and its strengths in the text encoders and in the UNet.

    ``blocks``: factors of these in the model's blocks. ``rank``: how many ranks count. ``names``:
    the names of the UNet's parameters in single files, which number the blocks.
    """

    adapter: Adapter
    text: float
    unet: float
    blocks: tuple[float, ...] | None = None
    rank: int | None = None
    names: NamePairs | None = None

    def strength(self, parameter: Parameter) -> float:
        """Return the strength in a parameter of the model."""
        whole = self.unet if parameter.part == "unet" else self.text
        if self.blocks is None or self.names is None:
            return whole
        single = self.names.single(parameter.name) if parameter.part == "unet" else None
        return whole * block_ratio(self.blocks, single)

    def changes(self) -> set[Parameter]:
        """Return the parameters that it changes."""
        return {each for each in self.adapter.changes if self.strength(each)}


@dataclass
class Merger:
    """The adapters that are merged into a model now."""

    device: Device
    parts: Mapping[str, AdaptedPart]
    _merged: Sequence[MergedAdapter] = ()

    def merge(self, adapters: Sequence[MergedAdapter]) -> None:
        """Put ``adapters`` in the place of those that are merged now.

        Captured graphs and keys of prompts are out of date afterwards. Raises `ModelFormatError`
        where a tensor or a new weight is not finite; the model is then without adapters.
        """
        before = {each for merged in self._merged for each in merged.changes()}
        after = {each for merged in adapters for each in merged.changes()}
        counts = self.device.buffer_from_array(np.zeros(1), u32)
        try:
            self._refill(before | after, adapters, counts)
            if found := int(counts.read()[0]):
                raise overflow_error(adapters[-1], found)
        except BaseException:
            self._merged = ()
            self._refill(before | after, (), counts)
            raise
        self._merged = tuple(adapters)

    def _refill(
        self,
        parameters: set[Parameter],
        adapters: Sequence[MergedAdapter],
        counts: Buffer[u32],
    ) -> None:
        """Fill parameters with the file's weights, changed by ``adapters``."""
        for part, adapted in self.parts.items():
            names = {each.name for each in parameters if each.part == part}
            if not names:
                continue

            def source(
                name: str, part: str = part, adapted: AdaptedPart = adapted
            ) -> NDArray[Any] | Buffer[Any]:
                weight = adapted.weights.read(name)
                return self._merge_weight(Parameter(part, name), weight, adapters, counts)

            with self.device.region("loading"):
                refill(adapted.network, names, source, self.device, adapted.dtype)

    def _merge_weight(
        self,
        parameter: Parameter,
        weight: NDArray[Any],
        adapters: Sequence[MergedAdapter],
        counts: Buffer[u32],
    ) -> NDArray[Any] | Buffer[Any]:
        """Return a weight with its changes, rounded; the array itself where there are none."""
        found = [
            (merged.adapter.changes[parameter], merged.strength(parameter), merged.rank)
            for merged in adapters
            if parameter in merged.adapter.changes and merged.strength(parameter)
        ]
        if not found:
            return weight
        changed = upload(self.device, weight.reshape(weight.shape[0], -1))
        for change, strength, rank in found:
            changed = change.apply(changed, strength, rank)
        dtype = f32 if weight.ndim == 1 else self.parts[parameter.part].dtype
        rounded = cast(changed, dtype)
        count_nonfinite(rounded, counts)
        return rounded.view(weight.shape)


def overflow_error(merged: MergedAdapter, count: int) -> ModelFormatError:
    """Return the error for weights that overflow with an adapter."""
    reason = f"makes {count} weights infinite or NaN"
    hint = "give a smaller weight, or --dtype f32"
    return ModelFormatError(merged.adapter.path, "weights", reason, hint)
