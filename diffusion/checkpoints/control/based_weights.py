"""Weights that are told by their distance from the UNet's: differences, and Control-LoRA.

A Control-LoRA (stabilityai/control-lora) holds, under the names of training code, ``up`` and
``down`` for each matrix and kernel; norms, biases and what a UNet does not have are stored whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from diffusion.checkpoints.file_kinds import DOWNLOAD_AGAIN
from diffusion.checkpoints.safetensors import TensorEntry
from diffusion.checkpoints.weights import ParameterSource, Weights
from diffusion.errors import ModelFormatError, quote

__all__ = ["DifferenceWeights", "LowRankWeights"]

_UP, _DOWN = ".up", ".down"
_FEWEST_AXES: Final = 2


class DifferenceWeights(Weights):
    """Weights to which those of ``base`` are added, where it has the parameter."""

    def __init__(self, path: Path, sources: Iterable[ParameterSource], base: Weights) -> None:
        super().__init__(path, sources)
        self._base = base

    def read(self, name: str) -> NDArray[Any]:
        """Return a weight and the base's together, in f32."""
        weight = super().read(name)
        if name not in self._base.entries or self._base.entries[name].shape != weight.shape:
            return weight
        return weight.astype(np.float32) + self._base.read(name).astype(np.float32)


class _Pair(NamedTuple):
    """The sources of two factors."""

    up: ParameterSource
    down: ParameterSource


class LowRankWeights(Weights):
    """Weights of ``base`` plus products of two factors; what is stored whole replaces the base's.

    Raises ``ModelFormatError`` for factors that do not belong together.
    """

    def __init__(self, path: Path, sources: Iterable[ParameterSource], base: Weights) -> None:
        whole, factors = [], dict[str, dict[str, ParameterSource]]()
        for source in sources:
            for end in (_UP, _DOWN):
                if source.name.endswith(end):
                    name = f"{source.name.removesuffix(end)}.weight"
                    factors.setdefault(name, {})[end] = source
                    break
            else:
                whole.append(source)
        super().__init__(path, whole)
        self._base = base
        self._pairs = {name: _read_pair(path, name, each) for name, each in factors.items()}
        self.entries = _join_entries(base.entries, self._pairs, self.entries)

    def read(self, name: str) -> NDArray[Any]:
        """Return a weight: the base's and the product of its factors together, in f32."""
        if name in self._sources:
            return super().read(name)
        pair = self._pairs.get(name)
        if name not in self._base.entries:
            hint = "give a Control-LoRA that was made for this model"
            raise ModelFormatError(self.path, f"tensor {quote(name)}", "has no base weight", hint)
        weight = self._base.read(name).astype(np.float32)
        if pair is None:
            return weight
        up, down = (each.file.read_entry(each.entry).astype(np.float32) for each in pair)
        product = up.reshape(len(up), -1) @ down.reshape(len(down), -1)
        return weight + product.reshape(weight.shape)


def _read_pair(path: Path, name: str, factors: Mapping[str, ParameterSource]) -> _Pair:
    """Return both factors of a weight. Raises ``ModelFormatError``."""
    where = f"tensor {quote(name)}"
    if len(factors) != len((_UP, _DOWN)):
        reason = f"must have both up and down, got {quote(min(factors))} alone"
        raise ModelFormatError(path, where, reason, DOWNLOAD_AGAIN)
    pair = _Pair(factors[_UP], factors[_DOWN])
    up, down = pair.up.entry.shape, pair.down.entry.shape
    thin = len(up) >= _FEWEST_AXES and all(side == 1 for side in up[2:])
    if not thin or len(down) < _FEWEST_AXES or up[1] != down[0] or 0 in (*up, *down):
        reason = f"must be the product of up and down, got {list(up)} and {list(down)}"
        raise ModelFormatError(path, where, reason, DOWNLOAD_AGAIN)
    return pair


def _join_entries(
    base: Mapping[str, TensorEntry], pairs: Mapping[str, _Pair], whole: Mapping[str, TensorEntry]
) -> dict[str, TensorEntry]:
    """Return an entry for each parameter that a network may have; those of the way up are not."""
    encoder = {
        name: entry
        for name, entry in base.items()
        if not name.startswith(("up_blocks.", "conv_norm_out.", "conv_out."))
    }
    products = {
        name: TensorEntry(
            pair.up.entry.dtype, (pair.up.entry.shape[0], *pair.down.entry.shape[1:]), 0, 0
        )
        for name, pair in pairs.items()
    }
    return encoder | products | dict(whole)
