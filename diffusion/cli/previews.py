"""``--preview``: a file that shows the pictures while they are drawn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image

from diffusion.cli.output import (
    Output,
    make_folder,
    output_errors,
    write_temporary_file,
)
from diffusion.errors import OutputError, SettingsError
from diffusion.images import arrange_grid
from diffusion.infotext.files import FORMATS, read_infotext
from diffusion.pipeline.events import Step

__all__ = ["EVERY", "EVERY_QUICK", "MARK", "MAX_SIDE", "Preview"]

MARK: Final = "A preview that Avila drew on the way to a picture."
"""The text in a preview's file, by which a later run knows that it may replace the file."""

EVERY: Final = 10
"""Steps between previews that the model's own VAE decodes, which takes the time of a few steps."""

EVERY_QUICK: Final = 5
"""Steps between previews that a tiny decoder makes."""

MAX_SIDE: Final = 2048
"""Pixels of a preview's longer side; larger ones are scaled down."""

_HINT = "give another --preview"


@dataclass(frozen=True)
class Preview:
    """A file that shows the pictures while they are drawn. The pictures do not depend on it.

    ``every``: steps from one preview to the next. ``other_files``: those that the command reads or
    writes.
    """

    file: Path
    every: int = EVERY
    other_files: tuple[Path, ...] = ()

    @classmethod
    def at(cls, file: Path, every: int, other_files: Iterable[Path] = ()) -> Preview:
        """Return the preview in a file; links to it are followed. Raises `OutputError`."""
        with output_errors(file, _HINT):
            file = file.expanduser().resolve()
        return cls(file, every, tuple(other_files))

    def check(self, output: Output, count: int) -> None:
        """Check the file before any work, and make its folder where that is missing.

        Raises `OutputError`, also where it is one of the ``count`` pictures or another file.
        """
        with output_errors(self.file, _HINT):
            if self.file.suffix.lower() not in FORMATS or self.file.is_dir():
                hint = f"give NAME with one of {', '.join(FORMATS)}"
                raise OutputError(self.file, "its name is not that of a picture", hint)
            if output.may_write(self.file, count):
                raise OutputError(self.file, "a finished picture may get this name", _HINT)
            if _is_one_of(self.file, self.other_files):
                raise OutputError(self.file, "the command has this file for something else", _HINT)
            make_folder(self.file.parent, _HINT)
            if not _may_be_replaced(self.file):
                raise OutputError(self.file, "it exists and is not a preview", _HINT)

    def is_due(self, step: Step) -> bool:
        """Tell whether to show a step. The last is not shown, since finished pictures follow."""
        return step.index % self.every == 0 and step.index < step.total

    def show(self, images: Sequence[Image.Image]) -> None:
        """Replace the file by one that shows ``images``.

        Raises `OutputError`, also where the file is no preview any more.
        """
        with output_errors(self.file, _HINT):
            if not _may_be_replaced(self.file):
                raise OutputError(self.file, "it is no longer a preview", _HINT)
            image = arrange_grid(images)
            image.thumbnail((MAX_SIDE, MAX_SIDE))
            suffix = self.file.suffix.lower()
            temporary = write_temporary_file(image, self.file.parent, MARK, suffix, quick=True)
            temporary.replace(self.file)


def _is_one_of(file: Path, others: Iterable[Path]) -> bool:
    """Tell whether a path leads to one of the others, capitals or not."""
    return _resolve(file) in map(_resolve, others)


def _resolve(file: Path) -> str:
    return str(file.resolve()).casefold()


def _may_be_replaced(file: Path) -> bool:
    """Tell whether the name is free, or its file a preview. Raises `OSError`."""
    try:
        file.lstat()
        return file.is_file() and read_infotext(file) == MARK
    except FileNotFoundError:
        return True
    except SettingsError:
        return False
