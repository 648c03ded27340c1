"""The picture of a grid: cells with the values of its axes beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from PIL import Image, ImageDraw, ImageFont

__all__ = ["GAP", "draw_grid"]

GAP: Final = 4
"""Pixels between cells."""

SMALLEST_LETTERS: Final = 12
LETTERS_OF_A_CELL: Final = 18
"""How many letters' heights a cell is wide: larger cells have larger letters."""

LONGEST_LABEL: Final = 300
INK: Final = (0, 0, 0)
PAPER: Final = (255, 255, 255)

Place = tuple[int, ...]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True)
class Label:
    """A text in lines that fit, and its size in pixels."""

    text: str
    width: int
    height: int


def draw_grid(
    images: Mapping[Place, Image.Image],
    labels: Sequence[Sequence[str]],
    titles: Sequence[str],
    gap: int = GAP,
) -> Image.Image:
    """Return the grid of ``images`` by place: column, row, number of the grid.

    ``labels``: the values of each axis; ``titles``: the names of the axes, which may be empty.
    ``gap``: pixels between cells. Where there is no image the place stays white.
    """
    width = max(image.width for image in images.values())
    height = max(image.height for image in images.values())
    sheets = Sheets((width + gap, height + gap), width, labels, titles)
    result = Image.new("RGB", sheets.size, PAPER)
    draw = ImageDraw.Draw(result)
    for place, image in images.items():
        left, top = sheets.corner(place)
        result.paste(image, (left + (width - image.width) // 2, top + (height - image.height) // 2))
    for label, middle_x, middle_y in sheets.placed_labels():
        draw.multiline_text(
            (middle_x, middle_y), label.text, INK, sheets.font, anchor="mm", align="center"
        )
    return result


class Sheets:
    """Places of the cells and labels. A third axis puts several grids below each other."""

    def __init__(
        self,
        cell: tuple[int, int],
        width: int,
        labels: Sequence[Sequence[str]],
        titles: Sequence[str],
    ) -> None:
        self._cell = cell
        letters = max(SMALLEST_LETTERS, width // LETTERS_OF_A_CELL)
        self.font = ImageFont.load_default(letters)
        texts = [
            [
                text if number or not title else f"{title}: {text}"
                for number, text in enumerate(values)
            ]
            for title, values in zip(titles, labels, strict=True)
        ]
        self._axes = [[self._wrap(text, width) for text in values] for values in texts]
        self._axes += [[self._wrap("", width)]] * (3 - len(texts))
        margin = letters // 2
        columns, rows, grids = self._axes
        self._left = max(label.width for label in rows) + (
            2 * margin if any(label.text for label in rows) else 0
        )
        self._top = max(label.height for label in columns) + _margin(columns, margin)
        self._title = max(label.height for label in grids) + _margin(grids, margin)
        self._sheet = self._title + self._top + len(rows) * self._cell[1]
        self.size = (self._left + len(columns) * self._cell[0], len(grids) * self._sheet)

    def _wrap(self, text: str, width: int) -> Label:
        """Return a text in lines of at most ``width`` pixels, broken between words or in them."""
        lines = [""]
        for word in text[:LONGEST_LABEL].split():
            joined = f"{lines[-1]} {word}".strip()
            if self.font.getlength(joined) <= width:
                lines[-1] = joined
                continue
            lines += [""] if lines[-1] else []
            for letter in word:
                if self.font.getlength(lines[-1] + letter) > width and lines[-1]:
                    lines.append("")
                lines[-1] += letter
        wrapped = "\n".join(lines)
        draw = ImageDraw.Draw(Image.new("1", (1, 1)))
        left, top, right, bottom = draw.multiline_textbbox((0, 0), wrapped, self.font)
        return Label(wrapped, round(right - left), round(bottom - top)) if text else Label("", 0, 0)

    def corner(self, place: Place) -> tuple[int, int]:
        """Return the left upper corner of a cell."""
        column, row, grid = (*place, 0, 0)[:3]
        top = grid * self._sheet + self._title + self._top
        return self._left + column * self._cell[0], top + row * self._cell[1]

    def placed_labels(self) -> list[tuple[Label, int, int]]:
        """Return each label with its middle."""
        columns, rows, grids = self._axes
        placed = []
        for number, grid in enumerate(grids):
            top = number * self._sheet
            placed.append((grid, self.size[0] // 2, top + self._title // 2))
            top += self._title
            for column, label in enumerate(columns):
                middle = self._left + column * self._cell[0] + self._cell[0] // 2
                placed.append((label, middle, top + self._top // 2))
            for row, label in enumerate(rows):
                middle = top + self._top + row * self._cell[1] + self._cell[1] // 2
                placed.append((label, self._left // 2, middle))
        return [each for each in placed if each[0].text]


def _margin(labels: Sequence[Label], pixels: int) -> int:
    """Return the pixels before and after labels; 0 where all are empty."""
    return 2 * pixels if any(label.text for label in labels) else 0
