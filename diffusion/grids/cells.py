"""The cells of a grid in the order in which they are drawn, and the text of its picture."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from diffusion.errors import SettingsError
from diffusion.grids.axes import Axis, AxisValue
from diffusion.infotext.grammar import parse_infotext, write_infotext

__all__ = ["MOST_AXES", "MOST_CELLS", "Cell", "grid_infotext", "make_cells"]

MOST_AXES: Final = 3
MOST_CELLS: Final = 1000

_SEEDS: Final = {"Seed", "Var. seed"}
"""Axes whose values A1111 writes once more, since -1 among them is a random one."""


@dataclass(frozen=True)
class Cell:
    """A place in the grid: the values of its axes, in their order."""

    place: tuple[int, ...]
    values: tuple[AxisValue, ...]

    @property
    def changes(self) -> dict[str, object]:
        """The changes of all its values."""
        changes: dict[str, object] = {}
        for value in self.values:
            changes |= value.changes
        return changes

    def replace_words(self, prompt: str, negative: str) -> tuple[str, str]:
        """Return the prompts with the words of its values. Raises `SettingsError`."""
        for old, new in (value.words for value in self.values if value.words is not None):
            if old not in prompt and old not in negative:
                hint = "the text to replace must stand in the prompt or the negative prompt"
                raise SettingsError("grid", old, hint)
            prompt, negative = prompt.replace(old, new), negative.replace(old, new)
        return prompt, negative


def make_cells(axes: Sequence[Axis], networks: Collection[str] = ()) -> list[Cell]:
    """Return all cells, those of the same networks one after the other.

    ``networks``: the parameters that choose them. Raises `SettingsError` for too many cells.
    """
    if math.prod(len(axis.values) for axis in axes) > MOST_CELLS:
        raise SettingsError("grid", axes[0].text, f"the grid has over {MOST_CELLS} pictures")
    every = [
        Cell(tuple(number for number, _ in each), tuple(value for _, value in each))
        for each in itertools.product(*(enumerate(axis.values) for axis in axes))
    ]
    names = [str([cell.changes.get(name) for name in networks]) for cell in every]
    order = {name: number for number, name in enumerate(dict.fromkeys(names))}
    pairs = sorted(zip(names, every, strict=True), key=lambda pair: order[pair[0]])
    return [cell for _, cell in pairs]


def grid_infotext(first: str, axes: Sequence[Axis]) -> str:
    """Return the text of the first picture, and the axes as A1111 writes them."""
    found = parse_infotext(first)
    pairs: dict[str, str | int | float] = {**found.settings, "Script": "X/Y/Z plot"}
    for letter, axis in zip("XYZ", axes, strict=False):
        pairs[f"{letter} Type"] = axis.label
        pairs[f"{letter} Values"] = axis.text
        if axis.label in _SEEDS:
            seeds = [str(next(iter(value.changes.values()))) for value in axis.values]
            pairs[f"Fixed {letter} Values"] = ", ".join(seeds)
    return write_infotext(found.prompt, found.negative, pairs)
