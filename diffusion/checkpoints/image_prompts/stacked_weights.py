"""Weights whose keys and values are stored apart, as diffusers does, and are one matrix here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from diffusion.checkpoints.file_kinds import DOWNLOAD_AGAIN
from diffusion.checkpoints.weights import ParameterSource, Weights
from diffusion.errors import ModelFormatError, quote

__all__ = ["StackedWeights"]

_KEYS, _VALUES, _BOTH = ".to_k.weight", ".to_v.weight", ".to_kv.weight"
_AXES: Final = 2


class StackedWeights(Weights):
    """Weights in which ``to_k`` and ``to_v`` are read as ``to_kv``, keys above values.

    Raises ``ModelFormatError`` where one is missing or they differ in shape.
    """

    def __init__(self, path: Path, sources: Iterable[ParameterSource]) -> None:
        super().__init__(path, sources)
        self._halves: dict[str, tuple[str, str]] = {}
        entries = dict(self.entries)
        for name in [each for each in entries if each.endswith((_KEYS, _VALUES))]:
            place = name.removesuffix(_KEYS).removesuffix(_VALUES)
            self._halves[place + _BOTH] = place + _KEYS, place + _VALUES
        for both, (keys, values) in self._halves.items():
            first, second = entries.pop(keys, None), entries.pop(values, None)
            if first is None or second is None or first.shape != second.shape:
                reason = "must be there for keys and values, in one shape"
                raise ModelFormatError(path, f"tensor {quote(keys)}", reason, DOWNLOAD_AGAIN)
            if len(first.shape) != _AXES or both in entries:
                reason = f"must have {_AXES} axes and be there once, got {list(first.shape)}"
                raise ModelFormatError(path, f"tensor {quote(keys)}", reason, DOWNLOAD_AGAIN)
            rows, columns = first.shape
            size = first.nbytes + second.nbytes
            entries[both] = replace(first, shape=(2 * rows, columns), nbytes=size)
        self.entries = MappingProxyType(entries)

    def read(self, name: str) -> NDArray[Any]:
        """Return a weight, of which two may be stored."""
        if name not in self._halves:
            return super().read(name)
        keys, values = self._halves[name]
        return np.concatenate([super().read(keys), super().read(values)])
