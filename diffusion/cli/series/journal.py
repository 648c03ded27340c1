"""What a series has finished, in a file that a killed run leaves behind.

A line is added and brought to the disk before a finished picture gets its name: the name, and the
number that the file system gave the picture's draft. Whether the picture got the name is then
known after a kill at any moment: the file of that name has that number, or it has not.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final

from diffusion.drafts import lock_file
from diffusion.errors import OutputError

__all__ = ["Journal"]

_HINT: Final = "give another --output"


class Journal:
    """The journal in ``path``; with ``fresh``, what it says so far does not count."""

    def __init__(self, path: Path, *, fresh: bool = False) -> None:
        self.path = path
        self._fresh = fresh
        self._file: BinaryIO | None = None
        self._seeds: dict[str, dict[str, int]] = {}
        self._done: dict[str, set[int]] = {}

    @contextmanager
    def hold_open(self) -> Iterator[None]:
        """Read the journal and hold it open inside the block. Raises `OutputError`."""
        try:
            with self.path.open("a+b") as file:
                self._lock(file)
                if self._fresh:
                    file.truncate(0)
                file.seek(0)
                data = file.read()
                self._file = file
                if data and not data.endswith(b"\n"):
                    file.write(b"\n")  # the end of a line that a kill cut off
                for line in data.splitlines():
                    with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
                        self._read(json.loads(line))
                yield
        except OSError as error:
            raise OutputError(self.path, error.strerror or str(error), _HINT) from error
        finally:
            self._file = None

    def _lock(self, file: BinaryIO) -> None:
        """Lock the journal against a second run. Raises `OutputError`."""
        if not lock_file(file):
            hint = "wait for it, or give another --output"
            raise OutputError(self.path, "another run is drawing these prompts", hint)

    def _read(self, record: Mapping[str, Any]) -> None:
        """Take in one line."""
        key = str(record["key"])
        if "seed" in record:
            self._seeds[key] = {name: int(record[name]) for name in ("seed", "variation")}
        elif "done" in record:
            self._done.setdefault(key, set()).add(int(record["done"]))
        elif _has_number(self.path.parent / record["file"], record["inode"]):
            self._done.setdefault(key, set()).add(int(record["claim"]))

    def _write(self, **record: object) -> None:
        assert self._file is not None
        self._file.write(json.dumps(record).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def seeds(self, key: str, seeds: dict[str, int]) -> dict[str, int]:
        """Return the seeds that a request began with; they are ``seeds`` if it begins now."""
        if key not in self._seeds:
            self._seeds[key] = seeds
            self._write(key=key, **seeds)
        return self._seeds[key]

    def count_finished(self, key: str) -> int:
        """Return how many pictures of a request are finished, from the first on."""
        done = self._done.get(key, set())
        return next(number for number in range(len(done) + 1) if number not in done)

    def claim(self, key: str, number: int, draft: Path, target: Path) -> None:
        """Record that a finished draft is about to get its name."""
        name = os.path.relpath(target, self.path.parent)
        self._write(key=key, claim=number, file=name, inode=draft.stat().st_ino)

    def confirm(self, key: str, number: int) -> None:
        """Record that a picture has its name."""
        self._write(key=key, done=number)

    def remove(self) -> None:
        """Remove the journal."""
        self.path.unlink(missing_ok=True)


def _has_number(file: Path, inode: int) -> bool:
    """Tell whether a file is there, with the number that the file system gave it."""
    try:
        return file.stat().st_ino == inode
    except OSError:
        return False
