"""The folder of a batch: pictures, ``results.jsonl``, and a journal until all lines are done.

A picture is written as a draft and renamed to a name that the journal has claimed for its line
before. A record follows it in the journal, and the line's record in the results after its last
picture. A run that was killed anywhere between goes on from the last record: what has none is drawn
again, has the same bits and takes the same name. Both files only grow, so that a reader may follow.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final

from diffusion.drafts import lock_file, open_draft, sweep_drafts
from diffusion.errors import OutputError
from diffusion.server.batch.lines import BadLine, Line
from diffusion.server.batch.pieces import Outcome
from diffusion.server.engine.messages import Drawn

__all__ = ["RESULTS", "BatchFolder"]

RESULTS: Final = "results.jsonl"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}\.png")
_HINT: Final = "make room, or give another --output; the same command goes on from here"

Record = dict[str, Any]


class BatchFolder:
    """The results of a batch so far. Write more within `hold_open`.

    ``retry``: lines that failed count as not done.
    """

    def __init__(
        self, folder: Path, name: str, *, restart: bool = False, retry: bool = False
    ) -> None:
        self.folder = folder
        self._journal_path = folder / f"{name}.progress"
        self._restart, self._retry = restart, retry
        self.done: dict[str, Record] = {}
        self._salt = ""
        self._names: dict[str, list[str]] = {}
        self._pictures: dict[str, dict[int, Record]] = {}
        self._reasons: dict[str, str] = {}
        self._claimed: set[str] = set()
        self._complete = False

    @contextmanager
    def hold_open(self) -> Iterator[None]:
        """Read what is there, and hold the files open. Raises `OutputError`."""
        with ExitStack() as stack:
            with self._writing():
                self._open(stack)
            yield
        if self._complete:
            self._journal_path.unlink(missing_ok=True)

    def _open(self, stack: ExitStack) -> None:
        """Open both files until ``stack`` ends, and read them. Raises `OutputError`, `OSError`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        sweep_drafts(self.folder)
        self._results = stack.enter_context((self.folder / RESULTS).open("a+b"))
        self._lock()
        self._journal = stack.enter_context(self._journal_path.open("a+b"))
        if self._restart:
            self._journal.truncate(0)
            self._results.truncate(0)
        self._read()
        if not self._salt:
            self._salt = secrets.token_hex(16)
            _append(self._journal, {"salt": self._salt})

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Turn errors of the system into an `OutputError`."""
        try:
            yield
        except OSError as error:
            raise OutputError(self.folder, error.strerror or str(error), _HINT) from error

    def _lock(self) -> None:
        """Lock the results against a second run, of any file. Raises `OutputError`."""
        if not lock_file(self._results):
            hint = "wait for it, or give another --output"
            raise OutputError(self.folder, "another run writes here", hint)

    def _read(self) -> None:
        """Take in what both files say. Raises `OutputError`."""
        for path, file, take in (
            (self.folder / RESULTS, self._results, self._take_result),
            (self._journal_path, self._journal, self._take_note),
        ):
            try:
                for record in _read_records(file):
                    take(record)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                hint = "--restart begins anew; another --output leaves it alone"
                raise OutputError(path, "it is not what a batch writes", hint) from error

    def _take_result(self, record: Record) -> None:
        self.done[str(record["key"])] = record
        self._claimed.update(str(each["file"]).casefold() for each in record["pictures"])

    def _take_note(self, record: Record) -> None:
        if "salt" in record:
            self._salt = str(record["salt"])
        elif "names" in record:
            names = list(map(_checked_name, record["names"]))
            self._names[record["key"]] = names
            self._claimed.update(name.casefold() for name in names)
        elif (self.folder / _checked_name(record["picture"]["file"])).is_file():
            own = self._pictures.setdefault(record["key"], {})
            own[int(record["number"])] = record["picture"]

    # ------------------------------------------------------------------ what is left

    def is_done(self, line: Line | BadLine) -> bool:
        """Tell whether a line needs nothing more."""
        record = self.done.get(line.key)
        if record is None:
            return False
        return record["state"] == "done" or isinstance(line, BadLine) or not self._retry

    def missing(self, line: Line) -> tuple[int, ...]:
        """Return the numbers of a line's pictures that are still to be drawn."""
        if self.is_done(line):
            return ()
        have = self._pictures.get(line.key, {})
        return tuple(number for number in range(line.count) if number not in have)

    def seed_of(self, line: Line) -> int:
        """Return a line's seed: for one that has none, the same after each restart."""
        if line.seed is not None:
            return line.seed
        digest = hashlib.sha256(f"{self._salt} {line.key}".encode()).digest()
        return int.from_bytes(digest[:4])

    # ------------------------------------------------------------------ writing

    def keep(self, line: Line, outcome: Outcome) -> Record | None:
        """Write what came of a piece. Return the line's record if it was the last.

        Raises `OutputError`.
        """
        if outcome.drawn is None:
            self._reasons[line.key] = outcome.reason
            self._pictures.setdefault(line.key, {})[outcome.number] = {}
        else:
            with self._writing():
                picture = self._write_picture(line, outcome.number, outcome.drawn)
            self._pictures.setdefault(line.key, {})[outcome.number] = picture
        return self.finish(line)

    def _write_picture(self, line: Line, number: int, drawn: Drawn) -> Record:
        """Write a picture and its note, and return that."""
        name = self._claim(line)[number]
        with open_draft(self.folder) as file:
            file.write(drawn.png)
        Path(file.name).replace(self.folder / name)
        picture: Record = {
            "file": name,
            "number": number,
            "seed": drawn.seed,
            "width": drawn.width,
            "height": drawn.height,
            "sha256": hashlib.sha256(drawn.png).hexdigest(),
        }
        _append(self._journal, {"key": line.key, "number": number, "picture": picture})
        return picture

    def finish(self, line: Line) -> Record | None:
        """Write the record of a line whose pieces have all ended, and return it."""
        found = self._pictures.get(line.key, {})
        if len(found) < line.count or self.is_done(line):
            return None
        reason = self._reasons.get(line.key, "")
        del self._pictures[line.key]
        pictures = [found[number] for number in sorted(found) if found[number]]
        return self._write(line, line.id, reason, self.seed_of(line), pictures)

    def fail(self, line: BadLine) -> Record:
        """Write and return the record of a line that is no job."""
        return self._write(line, f"{line.number:05d}", line.reason, None, [])

    def _write(
        self,
        line: Line | BadLine,
        name: str,
        reason: str,
        seed: int | None,
        pictures: Sequence[Mapping[str, Any]],
    ) -> Record:
        record: Record = {
            "line": line.number,
            "id": name,
            "state": "failed" if reason else "done",
            "message": reason,
            "model": line.model if isinstance(line, Line) else None,
            "seed": seed,
            "pictures": list(pictures),
            "key": line.key,
        }
        with self._writing():
            _append(self._results, record)
        self.done[line.key] = record
        return record

    def _claim(self, line: Line) -> list[str]:
        """Return the names of a line's pictures, which no other file has."""
        if line.key not in self._names:
            choices = (_names(stem, line.count) for stem in _stems(line))
            names = next(each for each in choices if all(map(self._is_free, each)))
            _append(self._journal, {"key": line.key, "names": names})
            self._names[line.key] = names
            self._claimed.update(name.casefold() for name in names)
        return self._names[line.key]

    def _is_free(self, name: str) -> bool:
        return name.casefold() not in self._claimed and not (self.folder / name).exists()

    def mark_complete(self) -> None:
        """Let the journal be removed at the end, since every line is done."""
        self._complete = True


def _checked_name(name: str) -> str:
    """Return a picture's name from a file, which is no path. Raises ``ValueError``."""
    if not _NAME.fullmatch(name):
        raise ValueError(name)
    return name


def _stems(line: Line) -> Iterator[str]:
    """Yield beginnings of the names of a line's pictures, the best first, without end."""
    yield line.id
    yield f"{line.id}-{line.key[:8]}"
    for number in itertools.count(2):
        yield f"{line.id}-{line.key[:8]}-{number}"


def _names(stem: str, count: int) -> list[str]:
    if count == 1:
        return [f"{stem}.png"]
    return [f"{stem}-{number}.png" for number in range(1, count + 1)]


def _read_records(file: BinaryIO) -> Iterator[Record]:
    """Yield the records of a file, and cut off the end of one that a kill left unfinished."""
    file.seek(0)
    data = file.read()
    end = data.rfind(b"\n") + 1
    if end < len(data):
        file.truncate(end)
    for line in data[:end].splitlines():
        yield json.loads(line)


def _append(file: BinaryIO, record: Mapping[str, Any]) -> None:
    """Add a record and bring it to the disk."""
    file.write(json.dumps(record).encode() + b"\n")
    file.flush()
    os.fsync(file.fileno())
