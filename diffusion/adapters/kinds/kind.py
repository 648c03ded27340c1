"""`Kind`: one algorithm of adapters, as two functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from diffusion.adapters.tensor_group import TensorGroup
from gpucore import Buffer, f32

__all__ = ["Kind"]


class Kind(NamedTuple):
    """One algorithm. ``roles``: sets of tensors of which one must be there; ``more`` may be there.

    ``check`` raises `MisfitError` for wrong shapes. ``difference`` takes the weight (rows, columns)
    in f32 and the user's strength, and returns what is added to the weight.
    """

    title: str
    roles: tuple[frozenset[str], ...]
    more: frozenset[str]
    check: Callable[[TensorGroup], None]
    difference: Callable[[TensorGroup, Buffer[f32], float], Buffer[f32]]

    def reads(self, found: frozenset[str]) -> bool:
        """Tell whether a module's tensors are of this kind."""
        return any(roles <= found <= roles | self.more for roles in self.roles)
