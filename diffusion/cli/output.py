"""The files of pictures: named so that nothing is lost, and complete or absent."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image

from diffusion.cli.file_names import Values, check_pattern, fill_pattern, has_fields
from diffusion.drafts import open_draft, sweep_drafts
from diffusion.errors import OutputError
from diffusion.infotext.files import FORMATS, text_options

__all__ = ["Output", "make_folder", "output_errors", "write_temporary_file"]

MAX_WEBP_SIDE: Final = 16383
"""Pixels."""

FINAL_ENCODING: Final[dict[str, dict[str, int]]] = {
    "PNG": {},
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"lossless": 1},
}
"""How finished pictures are encoded: without loss, or nearly."""

QUICK_ENCODING: Final[dict[str, dict[str, int]]] = {
    "PNG": {"compress_level": 1},
    "JPEG": {"quality": 85},
    "WEBP": {"quality": 80, "method": 0},
}
"""How pictures are encoded that are soon replaced."""

_HINT = "give another --output"

_NUMBERED = re.compile(r"(\d{5,})-.*\.png", re.IGNORECASE)


Claim = Callable[[Path, Path], None]
"""A function that is called with a finished file and the name that it gets, just before it does."""


@dataclass(frozen=True)
class Output:
    """The file or folder that ``--output`` names.

    A file (``apple.png``, a JPEG or a WebP) is replaced. Several pictures get their number before
    the suffix (``apple-1.png``). A folder gets ``00001-SEED.png`` and so on, and no file in it is
    replaced. With ``pattern`` the place has fields (``{seed}.png``), and no file is replaced.
    """

    place: Path
    is_folder: bool
    pattern: str | None = None

    @classmethod
    def from_text(cls, text: str) -> Output:
        """Return what the option's text names, and make missing folders. Raises `OutputError`."""
        if text == "-":
            raise OutputError(text, "pictures do not go to stdout", "give a file or a folder")
        pattern = text if has_fields(text) else None
        if pattern is not None:
            check_pattern(pattern)
        place = Path(text)
        with output_errors(place, _HINT):
            place = place.expanduser()
            is_folder = text.endswith(("/", os.sep)) or (
                pattern is None and (place.is_dir() or not place.suffix)
            )
            if is_folder and place.exists() and not place.is_dir():
                hint = f"give a folder, or NAME with one of {', '.join(FORMATS)}"
                raise OutputError(text, "it exists and is not a folder", hint)
        if pattern is not None and not is_folder and (not place.suffix or has_fields(place.suffix)):
            place = place.with_name(f"{place.name}.png")
        if not is_folder and place.suffix.lower() not in FORMATS:
            hint = f"give NAME with one of {', '.join(FORMATS)}, or a folder with a / at its end"
            raise OutputError(text, f"its name ends in {place.suffix}", hint)
        output = cls(place, is_folder, None if pattern is None else str(place))
        make_folder(output.folder, _HINT)
        sweep_drafts(output.folder)
        return output

    @property
    def folder(self) -> Path:
        """Return the folder that gets the files; of a pattern the part before its first field."""
        if self.pattern is None:
            return self.place if self.is_folder else self.place.parent
        names = (self.place if self.is_folder else self.place.parent).parts
        fixed = list(itertools.takewhile(lambda name: not has_fields(name), names))
        return Path(*fixed)

    def save(
        self,
        image: Image.Image,
        values: Values,
        count: int,
        infotext: str,
        claim: Claim | None = None,
    ) -> Path:
        """Write one of ``count`` pictures with its text. Return its file. Raises `OutputError`.

        ``values``: those of the fields in a name; ``index`` and ``seed`` at least.
        """
        suffix = ".png" if self.is_folder else self.place.suffix.lower()
        if suffix == ".webp" and max(image.size) > MAX_WEBP_SIDE:
            reason = f"{image.width}x{image.height} is too large for WebP"
            raise OutputError(self.place, reason, "give --output a .png file")
        with output_errors(self.place, _HINT):
            folder = self._folder_of(values)
            temporary = write_temporary_file(image, folder, infotext, suffix)
            try:
                return self._rename(temporary, folder, values, count, claim or (lambda _, __: None))
            except OSError:
                temporary.unlink(missing_ok=True)
                raise

    def _folder_of(self, values: Values) -> Path:
        """Return the folder of one picture, which is made where a field names it."""
        if self.pattern is None:
            return self.folder
        path = Path(fill_pattern(self.pattern, dict(values, number=1)))
        folder = path if self.is_folder else path.parent
        make_folder(folder, _HINT)
        return folder

    def _rename(
        self, temporary: Path, folder: Path, values: Values, count: int, claim: Claim
    ) -> Path:
        """Give a complete file its name."""
        if self.pattern is None and not self.is_folder:
            target = self._file(int(str(values["index"])), count)
            claim(temporary, target)
            return temporary.replace(target)
        for target in self._free_names(folder, values):
            claim(temporary, target)
            if _move_to_free_name(temporary, target):
                return target
        raise AssertionError("there is always another number")

    def _free_names(self, folder: Path, values: Values) -> Iterator[Path]:
        """Yield names for a file in ``folder``, the best first, without end."""
        following = _next_number(folder)
        for extra in itertools.count():
            number = following + extra
            if self.is_folder:
                yield folder / f"{number:05d}-{values['seed']}.png"
                continue
            path = folder / self._name(values, number)
            is_new = extra == 0 or path.name != self._name(values, number - 1)
            yield path if is_new else path.with_stem(f"{path.stem}-{extra + 1}")

    def _name(self, values: Values, number: int) -> str:
        """Return the name that the pattern makes of a picture's values."""
        assert self.pattern is not None
        return fill_pattern(self.pattern, dict(values, number=number)).name

    def _file(self, number: int, count: int) -> Path:
        """Return the file of picture ``number`` of ``count``, where ``--output`` names a file."""
        name = f"{self.place.stem}-{number}{self.place.suffix}" if count > 1 else self.place.name
        return self.place.with_name(name)

    def may_write(self, file: Path, count: int) -> bool:
        """Tell whether one of ``count`` pictures may get the name ``file``.

        Capitals do not count, as on some file systems. A file of a pattern's name is not replaced.
        """
        if self.pattern is not None or file.parent.resolve() != self.folder.resolve():
            return False
        if self.is_folder:
            return _NUMBERED.fullmatch(file.name) is not None
        names = {self._file(number, count).name for number in range(1, count + 1)}
        return file.name.casefold() in map(str.casefold, names)

    def require_other_names(self, files: Iterable[Path], count: int) -> None:
        """Raise `OutputError` where one of ``count`` pictures would replace one of ``files``."""
        if self.is_folder or self.pattern is not None:
            return
        for number in range(1, count + 1):
            target = self._file(number, count)
            for file in files:
                with output_errors(target, _HINT):
                    is_same = target.exists() and file.exists() and target.samefile(file)
                if is_same:
                    hint = "give another --output, or --force to replace it"
                    raise OutputError(target, "the command reads this file", hint)


def _next_number(folder: Path) -> int:
    """Return one more than the highest number in the folder."""
    found = (_NUMBERED.fullmatch(entry.name) for entry in os.scandir(folder))
    return max((int(match[1]) for match in found if match), default=0) + 1


def write_temporary_file(
    image: Image.Image, folder: Path, infotext: str, suffix: str, *, quick: bool = False
) -> Path:
    """Write a complete file in ``folder``, whose caller then renames it in one step.

    ``quick``: encode in little time instead of little space. Raises `OSError`.
    """
    kind = FORMATS[suffix]
    encoding = (QUICK_ENCODING if quick else FINAL_ENCODING)[kind]
    with open_draft(folder) as file:
        image.save(file, kind, **text_options(kind, infotext), **encoding)
    return Path(file.name)


def _move_to_free_name(source: Path, target: Path) -> bool:
    """Move a file to a name that must be free. Return False where it is taken."""
    try:
        os.link(source, target)
    except FileExistsError:
        return False
    except OSError:
        return _move_by_claim(source, target)
    source.unlink()
    return True


def _move_by_claim(source: Path, target: Path) -> bool:
    """Do the same on file systems without hard links: first take the name by an empty file."""
    try:
        target.touch(exist_ok=False)
    except FileExistsError:
        return False
    source.replace(target)
    return True


def make_folder(folder: Path, hint: str) -> None:
    """Make a folder and its parents, where they are missing. Raises `OutputError`."""
    with output_errors(folder, hint):
        folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise OutputError(folder, "no permission", hint)


@contextmanager
def output_errors(place: Path, hint: str) -> Iterator[None]:
    """Turn errors of the system, and of `pathlib` for bad paths, into an `OutputError`."""
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:  # ValueError: NUL in a path
        reason = getattr(error, "strerror", None) or str(error)
        raise OutputError(place, reason, hint) from error
