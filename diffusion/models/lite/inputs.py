"""Changes of what single layers of a network read, while it runs.

The layers that may have them read them from the context that a caller opens. Without it they
compute what they always do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Final

from diffusion.ambient import Ambient
from diffusion.models.layers import Activations

__all__ = ["NO_CHANGES", "InputChanges", "change_input", "has_changes", "input_changes"]

InputChanges = Mapping[object, Sequence[Callable[[Activations], Activations]]]
"""For each layer, functions from its input to another one, applied one after another."""

NO_CHANGES: Final[InputChanges] = {}
_changes: Ambient[InputChanges] = Ambient("input changes", NO_CHANGES)


def input_changes(changes: InputChanges) -> AbstractContextManager[None]:
    """Let networks that are called inside the context have these changes."""
    return _changes.around(changes)


def has_changes(layers: Iterable[object]) -> bool:
    """Tell whether one of these layers reads something else than it is given."""
    changes = _changes.get()
    return any(layer in changes for layer in layers)


def change_input(layer: object, x: Activations) -> Activations:
    """Return what a layer reads in place of ``x``, which may be of more images."""
    for change in _changes.get().get(layer, ()):
        x = change(x)
    return x
