"""``--grid AXIS=VALUES``: one picture for each combination of values, in one labelled picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace

from diffusion.cli.job import DrawnPicture, Job, Task
from diffusion.cli.options.model import ModelOptions, RefinerOptions
from diffusion.cli.requests import CommandLine, Request
from diffusion.cli.series.axes import parse_axis
from diffusion.errors import SettingsError
from diffusion.grids import MOST_AXES, Cell, draw_grid, grid_infotext, make_cells
from diffusion.images import arrange_grid
from diffusion.settings import random_seed

__all__ = ["Grid"]

_NETWORKS = [each.name for each in fields(ModelOptions)] + [
    RefinerOptions.prefix + each.name for each in fields(RefinerOptions)
]


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
        self._cells = make_cells(self.axes, _NETWORKS)
        first = line.request(self._cells[0].changes).settings
        self._seed = first.seed
        self._variation_seed = first.variation.seed if first.variation else random_seed()
        self._pictures: dict[tuple[int, ...], list[DrawnPicture]] = {}

    def requests(self) -> Iterator[Request]:
        """Yield the request of each cell. Raises `SettingsError`."""
        return map(self._request, self._cells)

    def _request(self, cell: Cell) -> Request:
        changes = cell.changes
        request = self._line.request(changes)
        settings = request.settings
        if "seed" not in changes:
            settings = replace(settings, seed=self._seed)
        typed_seed = {**self._line.values, **changes}.get("variation_seed")
        if settings.variation and typed_seed is None:
            variation = replace(settings.variation, seed=self._variation_seed)
            settings = replace(settings, variation=variation)
        prompt, negative = cell.replace_words(settings.prompt, settings.negative)
        settings = replace(settings, prompt=prompt, negative=negative)
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
        text = grid_infotext(first.infotext, self.axes)
        job.save_grid(replace(first, image=image, infotext=text))
