"""``--grid AXIS=VALUES``: one picture for each combination of values, in one labelled picture."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Final

from diffusion.cli.job import DrawnPicture, Job, Task
from diffusion.cli.options.model import ModelOptions, RefinerOptions
from diffusion.cli.requests import CommandLine, Request
from diffusion.cli.series.axes import AxisValue, parse_axis
from diffusion.cli.series.grid_picture import draw_grid
from diffusion.errors import SettingsError
from diffusion.images import arrange_grid
from diffusion.infotext.grammar import parse_infotext, write_infotext
from diffusion.settings import Settings, random_seed

__all__ = ["Grid"]

MOST_AXES: Final = 3
MOST_CELLS: Final = 1000

_NETWORKS = [each.name for each in fields(ModelOptions)] + [
    RefinerOptions.prefix + each.name for each in fields(RefinerOptions)
]
_SEEDS: Final = {"Seed", "Var. seed"}
"""Axes whose values A1111 writes once more, since -1 among them is a random one."""


@dataclass(frozen=True)
class Cell:
    """A place in the grid: the values of its axes, in their order."""

    place: tuple[int, ...]
    values: tuple[AxisValue, ...]


class Grid:
    """The requests of a grid: columns, rows, and grids below each other.

    All have the seed of the first one, where no axis is the seed. With ``keep`` each picture gets a
    file of its own, too. Raises `SettingsError`.
    """

    def __init__(self, line: CommandLine, texts: Sequence[str], *, keep: bool) -> None:
        self._line, self._keep = line, keep
        self.axes = [parse_axis(line, text) for text in texts]
        if len(texts) > MOST_AXES:
            raise SettingsError("grid", texts[MOST_AXES], "at most three axes make a grid")
        if math.prod(len(axis.values) for axis in self.axes) > MOST_CELLS:
            raise SettingsError("grid", texts[0], f"the grid has over {MOST_CELLS} pictures")
        self._cells = list(self._ordered_cells())
        first = line.request(_changes(self._cells[0])).settings
        self._seed = first.seed
        self._variation_seed = first.variation.seed if first.variation else random_seed()
        self._pictures: dict[tuple[int, ...], list[DrawnPicture]] = {}

    def _ordered_cells(self) -> Iterator[Cell]:
        """Yield all cells, those of the same networks one after the other."""
        every = [
            Cell(tuple(number for number, _ in each), tuple(value for _, value in each))
            for each in itertools.product(*(enumerate(axis.values) for axis in self.axes))
        ]
        names = [str([_changes(cell).get(name) for name in _NETWORKS]) for cell in every]
        order = {name: number for number, name in enumerate(dict.fromkeys(names))}
        pairs = sorted(zip(names, every, strict=True), key=lambda pair: order[pair[0]])
        yield from (cell for _, cell in pairs)

    def requests(self) -> Iterator[Request]:
        """Yield the request of each cell. Raises `SettingsError`."""
        return map(self._request, self._cells)

    def _request(self, cell: Cell) -> Request:
        changes = _changes(cell)
        request = self._line.request(changes)
        settings = request.settings
        if "seed" not in changes:
            settings = replace(settings, seed=self._seed)
        typed_seed = {**self._line.values, **changes}.get("variation_seed")
        if settings.variation and typed_seed is None:
            variation = replace(settings.variation, seed=self._variation_seed)
            settings = replace(settings, variation=variation)
        for value in cell.values:
            if value.words is not None:
                settings = _replace_words(settings, *value.words)
        return replace(request, settings=settings)

    def tasks(self) -> Iterator[Task]:
        """Yield the request of each cell."""
        for cell in self._cells:
            pictures = self._pictures[cell.place] = []
            yield Task(self._request(cell), saves=self._keep, receive=pictures.append)

    def finish(self, job: Job, complete: bool) -> None:
        """Write the grid, with empty places where the run was stopped. Raises `OutputError`."""
        found = {place: each for place, each in self._pictures.items() if each}
        if not found:
            return
        images = {place: arrange_grid([p.image for p in each]) for place, each in found.items()}
        first = found[min(found)][0]
        labels = [[value.label for value in axis.values] for axis in self.axes]
        image = draw_grid(images, labels, [axis.label for axis in self.axes])
        job.save_grid(replace(first, image=image, infotext=self._infotext(first.infotext)))

    def _infotext(self, first: str) -> str:
        """Return the text of the first picture, and the axes as A1111 writes them."""
        found = parse_infotext(first)
        pairs: dict[str, str | int | float] = {**found.settings, "Script": "X/Y/Z plot"}
        for letter, axis in zip("XYZ", self.axes, strict=False):
            pairs[f"{letter} Type"] = axis.label
            pairs[f"{letter} Values"] = axis.text
            if axis.label in _SEEDS:
                seeds = [str(next(iter(value.changes.values()))) for value in axis.values]
                pairs[f"Fixed {letter} Values"] = ", ".join(seeds)
        return write_infotext(found.prompt, found.negative, pairs)


def _changes(cell: Cell) -> dict[str, object]:
    """Return the changes of all values of a cell."""
    changes: dict[str, object] = {}
    for value in cell.values:
        changes |= value.changes
    return changes


def _replace_words(settings: Settings, old: str, new: str) -> Settings:
    """Return settings with other words in the prompts. Raises `SettingsError` where they lack."""
    if old not in settings.prompt and old not in settings.negative:
        hint = "the first text of replace must stand in the prompt or in --negative"
        raise SettingsError("grid", old, hint)
    return replace(
        settings,
        prompt=settings.prompt.replace(old, new),
        negative=settings.negative.replace(old, new),
    )
