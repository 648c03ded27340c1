"""Where pictures go: names that overwrite nothing unasked, files that are whole or absent."""

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

__all__ = ["FORMATS", "Output", "folder_made", "told", "written_file"]

FORMATS: Final = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
MOST_JPEG_EXIF: Final = 65533
"""Bytes of one segment of a JPEG file."""

MOST_WEBP_SIDE: Final = 16383

KEEPING: Final[dict[str, dict[str, int]]] = {
    "PNG": {},
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"lossless": 1},
}
"""How pictures are encoded: without loss, or nearly."""

QUICK: Final[dict[str, dict[str, int]]] = {
    "PNG": {"compress_level": 1},
    "JPEG": {"quality": 85},
    "WEBP": {"quality": 80, "method": 0},
}
"""The same for what is soon replaced."""

_HINT = "give another --output"

_NUMBERED = re.compile(r"(\d{5,})-.*\.png", re.IGNORECASE)


@dataclass(frozen=True)
class Output:
    """What ``--output`` names.

    A file (``apple.png``, a JPEG or a WebP) is replaced; of several pictures each gets its number
    before the suffix (``apple-1.png``). A folder gets ``00001-SEED.png`` and onwards, never over a
    file that exists.
    """

    place: Path
    is_folder: bool

    @classmethod
    def named(cls, text: str) -> Output:
        """From the option's text; makes missing folders. Raises `OutputError`."""
        if text == "-":
            raise OutputError(text, "pictures do not go to stdout", "give a file or a folder")
        place = Path(text)
        with told(place, _HINT):
            place = place.expanduser()
            is_folder = text.endswith(("/", os.sep)) or place.is_dir() or not place.suffix
            if is_folder and place.exists() and not place.is_dir():
                hint = f"give a folder, or NAME with one of {', '.join(FORMATS)}"
                raise OutputError(text, "it is there and is no folder", hint)
        if not is_folder and place.suffix.lower() not in FORMATS:
            hint = f"give NAME with one of {', '.join(FORMATS)}, or a folder with a / at its end"
            raise OutputError(text, f"its name ends in {place.suffix}", hint)
        output = cls(place, is_folder)
        folder_made(output.folder, _HINT)
        return output

    @property
    def folder(self) -> Path:
        """The folder that gets the files."""
        return self.place if self.is_folder else self.place.parent

    def save(self, image: Image.Image, seed: int, number: int, count: int, infotext: str) -> Path:
        """Write picture ``number`` (from 1) of ``count`` with its text. Raises `OutputError`."""
        suffix = ".png" if self.is_folder else self.place.suffix.lower()
        if suffix == ".webp" and max(image.size) > MOST_WEBP_SIDE:
            reason = f"{image.width}x{image.height} is too large for WebP"
            raise OutputError(self.place, reason, "give --output a .png file")
        with told(self.place, _HINT):
            written = written_file(image, self.folder, infotext, suffix)
            try:
                return self._placed(written, seed, number, count)
            except OSError:
                written.unlink(missing_ok=True)
                raise

    def _placed(self, written: Path, seed: int, number: int, count: int) -> Path:
        """Give a finished file its name."""
        if not self.is_folder:
            return written.replace(self._file(number, count))
        following = self._next_number()
        while True:
            target = self.place / f"{following:05d}-{seed}.png"
            if _moved_to_new(written, target):
                return target
            following += 1

    def _file(self, number: int, count: int) -> Path:
        """The file of picture ``number`` of ``count``, where a file is named."""
        name = f"{self.place.stem}-{number}{self.place.suffix}" if count > 1 else self.place.name
        return self.place.with_name(name)

    def may_write(self, file: Path, count: int) -> bool:
        """Tell whether one of ``count`` pictures may get the name ``file``, in any capitals."""
        if file.parent.resolve() != self.folder.resolve():
            return False
        if self.is_folder:
            return _NUMBERED.fullmatch(file.name) is not None
        names = {self._file(number, count).name for number in range(1, count + 1)}
        return file.name.casefold() in map(str.casefold, names)

    def _next_number(self) -> int:
        """One more than the highest number in the folder."""
        found = (_NUMBERED.fullmatch(entry.name) for entry in os.scandir(self.place))
        return max((int(match[1]) for match in found if match), default=0) + 1


def written_file(
    image: Image.Image, folder: Path, infotext: str, suffix: str, *, quick: bool = False
) -> Path:
    """A complete file under a passing name in the same folder, so that naming it is atomic.

    ``quick``: encoded in little time instead of little space.
    """
    with tempfile.NamedTemporaryFile(
        dir=folder, prefix=".avila-", suffix=suffix, delete=False
    ) as file:
        try:
            _save(image, file, infotext, FORMATS[suffix], QUICK if quick else KEEPING)
            file.flush()
            os.fsync(file.fileno())
            path = Path(file.name)
            path.chmod(0o666 & ~_umask())
        except BaseException:
            Path(file.name).unlink()
            raise
    return path


def _save(
    image: Image.Image,
    file: IO[bytes],
    infotext: str,
    kind: str,
    encoding: Mapping[str, dict[str, int]],
) -> None:
    """Encode a picture with its text."""
    if kind == "PNG":
        image.save(file, kind, pnginfo=png_info(infotext), **encoding[kind])
        return
    exif = exif_info(infotext)
    if kind == "JPEG" and len(exif) > MOST_JPEG_EXIF:
        warnings.warn("the settings are too long for a JPEG file and left out", stacklevel=2)
        exif = b""
    image.save(file, kind, exif=exif, **encoding[kind])


def _umask() -> int:
    """The process's mask for new files, which a temporary file does not follow by itself."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _moved_to_new(source: Path, target: Path) -> bool:
    """Move a file to a name that must be free; False where it is taken."""
    try:
        os.link(source, target)
    except FileExistsError:
        return False
    except OSError:
        return _moved_by_claim(source, target)
    source.unlink()
    return True


def _moved_by_claim(source: Path, target: Path) -> bool:
    """The same for file systems without hard links: take the name with an empty file first."""
    try:
        target.touch(exist_ok=False)
    except FileExistsError:
        return False
    source.replace(target)
    return True


def folder_made(folder: Path, hint: str) -> None:
    """Make a folder for files, with those around it. Raises `OutputError`."""
    with told(folder, hint):
        folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise OutputError(folder, "no permission", hint)


@contextmanager
def told(place: Path, hint: str) -> Iterator[None]:
    """Turn what the system says into an `OutputError`, and what `pathlib` says of bad paths."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise OutputError(place, reason, hint) from error
