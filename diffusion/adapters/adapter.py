"""`Adapter`: a checked file, and what it changes in a model."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from diffusion.adapters.decomposition import MAGNITUDE, decompose
from diffusion.adapters.kinds import Kind
from diffusion.adapters.tensor_group import TensorGroup
from diffusion.checkpoints.safetensors.regular_file import open_regular
from gpucore import Buffer, f32
from gpustd import add

__all__ = ["Adapter", "Change", "Parameter", "hash_of_file"]


class Parameter(NamedTuple):
    """A weight that an adapter changes: the ``part`` of the model, and its name there."""

    part: str
    name: str


@dataclass(frozen=True)
class Change:
    """A change that a file makes to one parameter."""

    kind: Kind
    group: TensorGroup

    def apply(self, weight: Buffer[f32], strength: float, rank: int | None = None) -> Buffer[f32]:
        """Return the changed weight (rows, columns); ``rank``: how many ranks count, None for all.

        Raises `ModelFormatError`.
        """
        group = self.group.take(rank)
        # Whoever merges counts the numbers that are not finite: there is no need for a warning.
        with np.errstate(over="ignore", invalid="ignore"):
            if MAGNITUDE not in group:
                return add(weight, self.kind.difference(group, weight, strength))
            changed = add(weight, self.kind.difference(group, weight, 1.0))
            return decompose(group, weight, changed, strength)


@dataclass(frozen=True, eq=False)
class Adapter:
    """A file whose tensors fit the model, by the parameters that they change."""

    path: Path
    changes: Mapping[Parameter, Change]

    @property
    def kinds(self) -> set[str]:
        """The titles of its kinds."""
        return {change.kind.title for change in self.changes.values()}


def hash_of_file(path: Path) -> str:
    """Return 12 hexadecimal digits of the SHA-256 of what follows a safetensors file's header.

    It stays the same where notes in the header change, as the WebUI computes it.
    Raises `ModelError`.
    """
    with open_regular(path) as file:
        length = int.from_bytes(file.read(8), "little")
        file.seek(8 + length)
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]
