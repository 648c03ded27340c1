"""The files of pictures: named so that nothing is lost, and complete or absent."""

from __future__ import annotations

import os
import re
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from PIL import Image

from diffusion.errors import OutputError
from diffusion.infotext.grammar import exif_info, png_info

__all__ = ["FORMATS", "Output", "make_folder", "output_errors", "write_temporary_file"]

FORMATS: Final = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
MAX_JPEG_EXIF: Final = 65533
"""Bytes of one segment of a JPEG file."""

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


@dataclass(frozen=True)
class Output:
    """The file or folder that ``--output`` names.

    A file (``apple.png``, a JPEG or a WebP) is replaced. Several pictures get their number before
    the suffix (``apple-1.png``). A folder gets ``00001-SEED.png`` and so on, and no file in it is
    replaced.
    """

    place: Path
    is_folder: bool

    @classmethod
    def from_text(cls, text: str) -> Output:
        """Return what the option's text names, and make missing folders. Raises `OutputError`."""
        if text == "-":
            raise OutputError(text, "pictures do not go to stdout", "give a file or a folder")
        place = Path(text)
        with output_errors(place, _HINT):
            place = place.expanduser()
            is_folder = text.endswith(("/", os.sep)) or place.is_dir() or not place.suffix
            if is_folder and place.exists() and not place.is_dir():
                hint = f"give a folder, or NAME with one of {', '.join(FORMATS)}"
                raise OutputError(text, "it exists and is not a folder", hint)
        if not is_folder and place.suffix.lower() not in FORMATS:
            hint = f"give NAME with one of {', '.join(FORMATS)}, or a folder with a / at its end"
            raise OutputError(text, f"its name ends in {place.suffix}", hint)
        output = cls(place, is_folder)
        make_folder(output.folder, _HINT)
        return output

    @property
    def folder(self) -> Path:
        """Return the folder that gets the files."""
        return self.place if self.is_folder else self.place.parent

    def save(self, image: Image.Image, seed: int, number: int, count: int, infotext: str) -> Path:
        """Write picture ``number`` (from 1) of ``count`` with its text. Raises `OutputError`."""
        suffix = ".png" if self.is_folder else self.place.suffix.lower()
        if suffix == ".webp" and max(image.size) > MAX_WEBP_SIDE:
            reason = f"{image.width}x{image.height} is too large for WebP"
            raise OutputError(self.place, reason, "give --output a .png file")
        with output_errors(self.place, _HINT):
            temporary = write_temporary_file(image, self.folder, infotext, suffix)
            try:
                return self._rename(temporary, seed, number, count)
            except OSError:
                temporary.unlink(missing_ok=True)
                raise

    def _rename(self, temporary: Path, seed: int, number: int, count: int) -> Path:
        """Give a complete file its name."""
        if not self.is_folder:
            return temporary.replace(self._file(number, count))
        following = self._next_number()
        while True:
            target = self.place / f"{following:05d}-{seed}.png"
            if _move_to_free_name(temporary, target):
                return target
            following += 1

    def _file(self, number: int, count: int) -> Path:
        """Return the file of picture ``number`` of ``count``, where ``--output`` names a file."""
        name = f"{self.place.stem}-{number}{self.place.suffix}" if count > 1 else self.place.name
        return self.place.with_name(name)

    def may_write(self, file: Path, count: int) -> bool:
        """Tell whether one of ``count`` pictures may get the name ``file``.

        Capitals do not count, as on some file systems.
        """
        if file.parent.resolve() != self.folder.resolve():
            return False
        if self.is_folder:
            return _NUMBERED.fullmatch(file.name) is not None
        names = {self._file(number, count).name for number in range(1, count + 1)}
        return file.name.casefold() in map(str.casefold, names)

    def _next_number(self) -> int:
        """Return one more than the highest number in the folder."""
        found = (_NUMBERED.fullmatch(entry.name) for entry in os.scandir(self.place))
        return max((int(match[1]) for match in found if match), default=0) + 1


def write_temporary_file(
    image: Image.Image, folder: Path, infotext: str, suffix: str, *, quick: bool = False
) -> Path:
    """Write a complete file in ``folder``, whose caller then renames it in one step.

    ``quick``: encode in little time instead of little space. Raises `OSError`.
    """
    with tempfile.NamedTemporaryFile(
        dir=folder, prefix=".avila-", suffix=suffix, delete=False
    ) as file:
        try:
            _encode(
                image, file, infotext, FORMATS[suffix], QUICK_ENCODING if quick else FINAL_ENCODING
            )
            file.flush()
            os.fsync(file.fileno())
            path = Path(file.name)
            path.chmod(0o666 & ~_umask())
        except BaseException:
            Path(file.name).unlink()
            raise
    return path


def _encode(
    image: Image.Image,
    file: IO[bytes],
    infotext: str,
    kind: str,
    encoding: Mapping[str, dict[str, int]],
) -> None:
    """Write a picture with its text into an open file."""
    if kind == "PNG":
        image.save(file, kind, pnginfo=png_info(infotext), **encoding[kind])
        return
    exif = exif_info(infotext)
    if kind == "JPEG" and len(exif) > MAX_JPEG_EXIF:
        warnings.warn("the settings are too long for a JPEG file and left out", stacklevel=2)
        exif = b""
    image.save(file, kind, exif=exif, **encoding[kind])


def _umask() -> int:
    """Return the process's mask for new files, which temporary files do not follow."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


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
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise OutputError(place, reason, hint) from error
