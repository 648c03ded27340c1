"""``--preview``: a file that shows the pictures as they come, rewritten while steps run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from PIL import Image
from typer import Option

from diffusion.checks import check_integer
from diffusion.cli.output import FORMATS, Output, folder_made, told, written_file
from diffusion.errors import OutputError, SettingsError
from diffusion.infotext.grammar import read_infotext
from diffusion.pipeline.events import Step

__all__ = ["Preview", "PreviewEvery", "PreviewFile", "PreviewVae", "grid"]

MARK: Final = "A preview that Avila drew on the way to a picture."
"""The text of a preview's file: what may be replaced, and tells of no settings."""

EVERY: Final = 10
"""Steps between previews that the model's own VAE decodes, each in the time of a few steps."""

EVERY_QUICK: Final = 5
"""The same for a tiny decoder."""

MOST_SIDE: Final = 2048
"""Pixels of a preview's longer side; larger ones are scaled down."""

_PANEL = "Preview"
_HINT = "give another --preview"

PreviewFile = Annotated[
    Path | None,
    Option(
        "--preview",
        metavar="FILE",
        help="A PNG, JPEG or WebP file to watch the pictures in as they come, those of a batch "
        "side by side. It is rewritten while steps run, each time as a whole, and once they are "
        "finished. Only an earlier preview is replaced.",
        rich_help_panel=_PANEL,
    ),
]
PreviewEvery = Annotated[
    int | None,
    Option(
        "--preview-every",
        metavar="STEPS",
        help=f"Steps from one preview to the next; if absent {EVERY}, or {EVERY_QUICK} with "
        "--preview-vae.",
        rich_help_panel=_PANEL,
    ),
]
PreviewVae = Annotated[
    Path | None,
    Option(
        "--preview-vae",
        metavar="PATH",
        help="Folder or .safetensors file of a tiny decoder for previews alone: TAESD for SD 1 and "
        "2, TAESDXL for XL. Without it the model's own VAE decodes them, each in the time of a few "
        "steps and with the memory that the end takes.",
        rich_help_panel=_PANEL,
    ),
]


@dataclass(frozen=True)
class Preview:
    """What the options about previews name. The pictures do not depend on it.

    ``every``: steps from one to the next. ``apart``: files that the command reads or writes.
    """

    file: Path
    every: int = EVERY
    apart: tuple[Path, ...] = ()

    @classmethod
    def chosen(
        cls,
        file: Path | None,
        every: int | None,
        vae: Path | None,
        apart: Iterable[Path | None] = (),
    ) -> Preview | None:
        """From the options; links are followed. Raises `SettingsError`, `OutputError`."""
        if file is None:
            for option, value in (("preview every", every), ("preview vae", vae)):
                if value is not None:
                    shown = value if isinstance(value, int) else str(value)
                    raise SettingsError(option, shown, "give --preview FILE beside it")
            return None
        check_integer("preview every", every, 1, 1000)
        usual = EVERY if vae is None else EVERY_QUICK
        with told(file, _HINT):
            file = file.expanduser().resolve()
        return cls(file, every or usual, tuple(filter(None, apart)))

    def check(self, output: Output, count: int) -> None:
        """Find what cannot be before any work; makes the missing folder.

        Raises `OutputError`, also where the ``count`` pictures or another file would be replaced.
        """
        with told(self.file, _HINT):
            if self.file.suffix.lower() not in FORMATS or self.file.is_dir():
                hint = f"give NAME with one of {', '.join(FORMATS)}"
                raise OutputError(self.file, "it is no name of a picture's file", hint)
            if output.may_write(self.file, count):
                raise OutputError(self.file, "a finished picture may get this name", _HINT)
            if _same_as_any(self.file, self.apart):
                raise OutputError(self.file, "the command has this file for something else", _HINT)
            folder_made(self.file.parent, _HINT)
            if not _may_be_replaced(self.file):
                raise OutputError(self.file, "it exists and is no preview", _HINT)

    def is_due(self, step: Step) -> bool:
        """Tell whether to show a step; the last is not, since finished pictures follow."""
        return step.index % self.every == 0 and step.index < step.total

    def show(self, images: Sequence[Image.Image]) -> None:
        """Replace the file by one that shows ``images``.

        Raises `OutputError`, also where another file came to have the name.
        """
        with told(self.file, _HINT):
            if not _may_be_replaced(self.file):
                raise OutputError(self.file, "it is no longer a preview", _HINT)
            image = grid(images)
            image.thumbnail((MOST_SIDE, MOST_SIDE))
            suffix = self.file.suffix.lower()
            written_file(image, self.file.parent, MARK, suffix, quick=True).replace(self.file)


def grid(images: Sequence[Image.Image]) -> Image.Image:
    """Pictures of one size side by side, row by row, as many in a row as rows or one more."""
    columns = math.ceil(math.sqrt(len(images)))
    rows = math.ceil(len(images) / columns)
    width, height = images[0].size
    whole = Image.new("RGB", (columns * width, rows * height))
    for number, image in enumerate(images):
        whole.paste(image, (number % columns * width, number // columns * height))
    return whole


def _same_as_any(file: Path, others: Iterable[Path]) -> bool:
    """Tell whether a path leads where another does; also where capitals do not count."""
    return _place(file) in map(_place, others)


def _place(file: Path) -> str:
    return str(file.resolve()).casefold()


def _may_be_replaced(file: Path) -> bool:
    """Tell whether nothing has the name, or what `Preview.show` wrote. Raises `OSError`."""
    try:
        file.lstat()
        return file.is_file() and read_infotext(file) == MARK
    except FileNotFoundError:
        return True
    except SettingsError:
        return False
