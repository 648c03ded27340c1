"""A cursor over the fields at the start of a GGUF file, bounded by the file's true size."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO, Final, NoReturn

from diffusion.checkpoints.file_kinds import DOWNLOAD_AGAIN
from diffusion.errors import ModelFormatError, quote

__all__ = ["SCALARS", "STRING", "Cursor"]

STRING: Final = 8
"""The number of the type of strings."""

SCALARS: Final = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}
"""The numbers of the types of values of one size, and their codes in `struct`."""


class Cursor:
    """A cursor: no field may pass byte ``limit``; ``where`` names the part in errors."""

    def __init__(self, file: BinaryIO, path: Path, limit: int) -> None:
        self._file = file
        self._path = path
        self._limit = limit
        self.at = file.tell()
        self.where = "header"

    @property
    def rest(self) -> int:
        """The bytes that are left for fields."""
        return self._limit - self.at

    def fail(self, reason: str, hint: str = DOWNLOAD_AGAIN, field: str = "") -> NoReturn:
        """Raise ``ModelFormatError`` for the part being read, or a field of it."""
        where = f"{self.where}: {field}" if field else self.where
        raise ModelFormatError(self._path, where, reason, hint)

    def take(self, count: int, field: str) -> bytes:
        """Read ``count`` bytes."""
        if count > self.rest:
            self.fail(f"must have {count} bytes, got {self.rest} until the end", field=field)
        found = self._file.read(count)
        if len(found) != count:
            self.fail("must not change while it is read", field=field)
        self.at += count
        return found

    def skip(self, count: int, field: str) -> None:
        """Step over ``count`` bytes."""
        if count > self.rest:
            self.fail(f"must have {count} bytes, got {self.rest} until the end", field=field)
        self.at += count
        self._file.seek(self.at)

    def number(self, code: str, field: str) -> int:
        """Read an integer; ``code``: as in `struct`."""
        (found,) = struct.unpack(f"<{code}", self.take(struct.calcsize(code), field))
        return int(found)

    def count(self, each: int, most: int, field: str) -> int:
        """Read how many things follow, of at least ``each`` bytes; at most ``most`` are allowed."""
        found = self.number("Q", field)
        if found > most or found * each > self.rest:
            bound = min(most, self.rest // each)
            self.fail(f"must be at most {bound} in a file of this size, got {found}", field=field)
        return found

    def text(self, most: int, field: str) -> str:
        """Read a string of at most ``most`` bytes of UTF-8."""
        stored = self.take(self.count(1, most, f"{field}: length"), field)
        try:
            return stored.decode("utf-8")
        except UnicodeDecodeError:
            found = quote(stored[:20].decode("latin-1"))
            self.fail(f"must be valid UTF-8, got {found}", field=field)

    def value(self, kind: int, most: int, field: str) -> str:
        """Read a scalar or string of a known type, as text."""
        if kind == STRING:
            return self.text(most, field)
        code = SCALARS[kind]
        stored = self.take(struct.calcsize(code), field)
        if kind == 7 and stored[0] > 1:
            self.fail(f"must be 0 or 1, got {stored[0]}", field=field)
        return str(struct.unpack(f"<{code}", stored)[0])
