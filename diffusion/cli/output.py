"""Where pictures go: names that overwrite nothing unasked, files that are whole or absent."""

from __future__ import annotations

import os
import re
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from PIL import Image

from diffusion.errors import OutputError
from diffusion.infotext import exif_info, png_info

__all__ = ["Output"]

FORMATS: Final = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
MOST_JPEG_EXIF: Final = 65533
"""Bytes of one segment of a JPEG file."""

MOST_WEBP_SIDE: Final = 16383

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
        place = Path(text).expanduser()
        is_folder = text.endswith(("/", os.sep)) or place.is_dir() or not place.suffix
        if not is_folder and place.suffix.lower() not in FORMATS:
            hint = f"give NAME with one of {', '.join(FORMATS)}, or a folder with a / at its end"
            raise OutputError(text, f"its name ends in {place.suffix}", hint)
        output = cls(place, is_folder)
        with _told(place):
            output.folder.mkdir(parents=True, exist_ok=True)
        if not os.access(output.folder, os.W_OK):
            raise OutputError(output.folder, "no permission", "give another --output")
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
        with _told(self.place):
            written = _written(image, self.folder, infotext, suffix)
            try:
                return self._placed(written, seed, number, count)
            except OSError:
                written.unlink(missing_ok=True)
                raise

    def _placed(self, written: Path, seed: int, number: int, count: int) -> Path:
        """Give a finished file its name."""
        if not self.is_folder:
            name = f"{self.place.stem}-{number}{self.place.suffix}" if count > 1 else None
            target = self.place.with_name(name) if name else self.place
            written.replace(target)
            return target
        following = self._next_number()
        while True:
            target = self.place / f"{following:05d}-{seed}.png"
            if _moved_to_new(written, target):
                return target
            following += 1

    def _next_number(self) -> int:
        """One more than the highest number in the folder."""
        found = (_NUMBERED.fullmatch(entry.name) for entry in os.scandir(self.place))
        return max((int(match[1]) for match in found if match), default=0) + 1


def _written(image: Image.Image, folder: Path, infotext: str, suffix: str) -> Path:
    """A complete file under a passing name in the same folder, so that naming it is atomic."""
    with tempfile.NamedTemporaryFile(
        dir=folder, prefix=".avila-", suffix=suffix, delete=False
    ) as file:
        try:
            _save(image, file, infotext, FORMATS[suffix])
            file.flush()
            os.fsync(file.fileno())
            path = Path(file.name)
            path.chmod(0o666 & ~_umask())
        except BaseException:
            Path(file.name).unlink()
            raise
    return path


def _save(image: Image.Image, file: IO[bytes], infotext: str, kind: str) -> None:
    """Encode a picture with its text: PNG and WebP without loss, JPEG at quality 95."""
    if kind == "PNG":
        image.save(file, kind, pnginfo=png_info(infotext))
        return
    exif = exif_info(infotext)
    if kind == "WEBP":
        image.save(file, kind, exif=exif, lossless=True)
        return
    if len(exif) > MOST_JPEG_EXIF:
        warnings.warn("the settings are too long for a JPEG file and left out", stacklevel=2)
        exif = b""
    image.save(file, kind, exif=exif, quality=95, subsampling=0)


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


@contextmanager
def _told(place: Path) -> Iterator[None]:
    """Turn what the system says into an `OutputError`."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(place, reason, "give another --output") from error
