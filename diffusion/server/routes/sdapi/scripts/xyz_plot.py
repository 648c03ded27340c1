"""The script ``X/Y/Z plot``: a picture for each combination of values, in one labelled grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from diffusion.grids import Axis, Cell, draw_grid, grid_infotext, make_cells, split_values
from diffusion.images import arrange_grid
from diffusion.server.routes.sdapi.requests import DrawBody, Img2ImgBody, change_body
from diffusion.server.routes.sdapi.scripts.axis_kinds import find_axis_kinds
from diffusion.server.routes.sdapi.scripts.plan import Argument, Shown, fix_seeds

__all__ = ["XyzPlot"]

_NOTHING: Final = "Nothing"
_MOST_MARGIN: Final = 500


class _Choices(NamedTuple):
    """The arguments after those of the axes."""

    draws_legend: bool
    keeps_pictures: bool
    has_sub_grids: bool
    keeps_random_seeds: bool
    varies_x: bool
    varies_y: bool
    varies_z: bool
    margin: int
    reads_text: bool


class XyzPlot:
    """The script; its arguments are the WebUI's."""

    title = "X/Y/Z plot"

    def arguments(self, is_img2img: bool) -> Sequence[Argument]:
        """Return its arguments, in their order."""
        kinds = tuple(find_axis_kinds(is_img2img))
        axes = [
            argument
            for letter in "XYZ"
            for argument in (
                Argument(f"{letter} type", _NOTHING, choices=kinds),
                Argument(f"{letter} values", ""),
                Argument(f"{letter} values (list)", ()),
            )
        ]
        return [
            *axes,
            Argument("Draw legend", True),
            Argument("Include Sub Images", False),
            Argument("Include Sub Grids", False),
            Argument("Keep -1 for seeds", False),
            Argument("Vary seeds for X", False),
            Argument("Vary seeds for Y", False),
            Argument("Vary seeds for Z", False),
            Argument("Grid margins (px)", 0, 0, _MOST_MARGIN, 2),
            Argument("Use text inputs instead of dropdowns", False),
        ]

    def plan(self, body: DrawBody, arguments: Sequence[Any]) -> XyzPlan:
        """Return what to draw. Raises `SettingsError` and `NotBuiltError`."""
        choices = _Choices(*arguments[9:])
        if not choices.keeps_random_seeds:
            body = fix_seeds(body)
        kinds = find_axis_kinds(isinstance(body, Img2ImgBody))
        axes = []
        for place in (0, 3, 6):
            name, text, listed = arguments[place : place + 3]
            texts = list(listed) if listed and not choices.reads_text else split_values(text)
            axes.append(Axis(name, ", ".join(texts), kinds[name].values(texts, body)))
        cells = make_cells(axes, ["sd_model_checkpoint"])
        bodies = [_cell_body(body, cell, axes, choices) for cell in cells]
        return XyzPlan(bodies, choices.keeps_pictures, axes, cells, choices)


def _cell_body(body: DrawBody, cell: Cell, axes: Sequence[Axis], choices: _Choices) -> DrawBody:
    """Return the body of a cell."""
    changed = change_body(body, cell.changes)
    prompt, negative = cell.replace_words(changed.prompt, changed.negative_prompt)
    x, y, z = cell.place
    wide = len(axes[0].values) if choices.varies_x else 1
    high = len(axes[1].values) if choices.varies_y else 1
    moved = x * choices.varies_x + y * wide * choices.varies_y + z * wide * high * choices.varies_z
    seed = changed.seed + moved if changed.seed >= 0 else changed.seed
    words = {"prompt": prompt, "negative_prompt": negative, "seed": seed}
    return changed.model_copy(update=words)


@dataclass(frozen=True)
class XyzPlan:
    """The bodies of all cells, and how their pictures are laid out."""

    bodies: Sequence[DrawBody]
    keeps_pictures: bool
    axes: Sequence[Axis]
    cells: Sequence[Cell]
    choices: _Choices

    def make_grids(self, drawn: Sequence[Sequence[Shown]]) -> list[Shown]:
        """Return the grid of all, then one for each value of Z where that was asked for."""
        pairs = zip(self.cells, drawn, strict=False)
        found = {cell.place: list(pictures) for cell, pictures in pairs if pictures}
        if not found:
            return []
        grids = [self._draw(found, self.axes)]
        if self.choices.has_sub_grids and len(self.axes[2].values) > 1:
            for z in range(len(self.axes[2].values)):
                sheet = {place[:2]: each for place, each in found.items() if place[2] == z}
                grids += [self._draw(sheet, self.axes[:2])] if sheet else []
        return grids

    def _draw(self, found: dict[tuple[int, ...], list[Shown]], axes: Sequence[Axis]) -> Shown:
        images = {place: arrange_grid([p.image for p in each]) for place, each in found.items()}
        legend = self.choices.draws_legend
        named = [axis.label if legend and axis.label != _NOTHING else "" for axis in axes]
        labels = [[value.label if legend else "" for value in axis.values] for axis in axes]
        image = draw_grid(images, labels, named, self.choices.margin)
        shown = [axis for axis in axes if axis.label != _NOTHING]
        return Shown(image, grid_infotext(found[min(found)][0].infotext, shown))
