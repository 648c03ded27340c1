"""``--prompts FILE``: every prompt of a file, each with settings of its own where it is JSON.

What is finished stands in a journal beside the pictures until all of them are, so that a run that
was stopped, or killed, goes on where it stopped and draws each picture once.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from diffusion.cli.app import complain
from diffusion.cli.error_texts import option_name
from diffusion.cli.job import Job, Task, check_settings
from diffusion.cli.networks import find_networks
from diffusion.cli.output import Output
from diffusion.cli.requests import CommandLine, Request
from diffusion.cli.series.journal import Journal
from diffusion.errors import SettingsError

__all__ = ["PromptsFile"]

LARGEST_FILE: Final = 16 << 20
"""Bytes of a file of prompts."""

_KEY = re.compile(r"[a-z][a-z0-9_-]+", re.IGNORECASE)
_ABOUT_A_RUN: Final = {"output", "device", "debug", "as_json", "quiet", "force", "restart"}


@dataclass(frozen=True)
class Entry:
    """One line of the file. ``key`` tells it from all other work, also from the same line again."""

    place: str
    changes: Mapping[str, Any]
    key: str


class PromptsFile:
    """The requests of a file of prompts. Reading it raises `SettingsError`."""

    def __init__(self, line: CommandLine, file: Path, output: Output, *, restart: bool) -> None:
        self._line = line
        name = "stdin" if str(file) == "-" else file.name
        self._entries = list(self._read_entries(_read_text(file), name))
        if not self._entries:
            raise SettingsError("prompts", str(file), "it holds no prompt")
        self._journal = Journal(output.folder / f"{name}.progress", fresh=restart)

    def _read_entries(self, text: str, name: str) -> Iterator[Entry]:
        """Yield the entries of a text."""
        lines = [
            (f"{name} line {number}", line.strip())
            for number, line in enumerate(text.split("\n"), 1)
            if line.strip() and not line.lstrip().startswith("#")
        ]
        is_json = bool(lines) and isinstance(_parse_json(lines[0][1]), dict)
        seen = Counter[str]()
        for place, line in lines:
            changes = self._read_json(place, line) if is_json else _read_prompt(place, line)
            values = {**self._line.values, **changes}
            work = sorted(
                (key, repr(each)) for key, each in values.items() if key not in _ABOUT_A_RUN
            )
            digest = hashlib.sha256(repr(work).encode(errors="backslashreplace")).hexdigest()[:24]
            seen[digest] += 1
            yield Entry(place, changes, f"{digest}-{seen[digest]}")

    def _read_json(self, place: str, line: str) -> dict[str, Any]:
        """Return the changes of a line of JSON."""
        found = _parse_json(line)
        if not isinstance(found, dict):
            raise SettingsError(place, line, 'must be JSON, such as {"prompt": "a fox"}')
        return self._line.parse(place, list(_typed_options(place, found)))

    def requests(self) -> Iterator[Request]:
        """Yield the request of each line. Raises `SettingsError`, which names the line."""
        return map(self._checked_request, self._entries)

    def _checked_request(self, entry: Entry) -> Request:
        """Return a line's request. Raises `SettingsError`, which names the line."""
        try:
            request = self._line.request(entry.changes)
            check_settings(request.settings)
            find_networks(request)
        except SettingsError as error:
            name = option_name(self._line.context, error.field, error.value)
            raise SettingsError(f"{entry.place}: {name}", error.value, error.hint) from None
        return request

    def tasks(self) -> Iterator[Task]:
        """Yield each request, from the first picture that is not finished. Raises `OutputError`."""
        with self._journal.hold_open():
            for entry in self._entries:
                request = self._line.request(entry.changes)
                settings = request.settings
                seeds = self._journal.seeds(
                    entry.key,
                    {
                        "seed": settings.seed,
                        "variation": settings.variation.seed if settings.variation else 0,
                    },
                )
                if settings.variation is not None:
                    variation = replace(settings.variation, seed=seeds["variation"])
                    settings = replace(settings, variation=variation)
                settings = replace(settings, seed=seeds["seed"])
                yield self._task(entry.key, replace(request, settings=settings))

    def _task(self, key: str, request: Request) -> Task:
        """Return the task of a line."""
        journal = self._journal
        return Task(
            request,
            journal.count_finished(key),
            claim=lambda number, draft, target: journal.claim(key, number, draft, target),
            confirm=lambda number: journal.confirm(key, number),
        )

    def finish(self, job: Job, complete: bool) -> None:
        """Remove the journal once all is drawn; otherwise say how to go on."""
        if not complete:
            complain("the same command goes on from there (--restart begins anew)")
            return
        self._journal.remove()
        if not job.files:
            complain(f"all {job.total} pictures were finished already; again draws them anew")


def _read_text(file: Path) -> str:
    """Return the text of a file or of stdin. Raises `SettingsError`."""
    try:
        if str(file) == "-":
            data = sys.stdin.buffer.read(LARGEST_FILE + 1)
        else:
            with file.expanduser().open("rb") as opened:
                data = opened.read(LARGEST_FILE + 1)
        if len(data) > LARGEST_FILE:
            raise SettingsError("prompts", str(file), f"it has over {LARGEST_FILE >> 20} MiB")
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SettingsError("prompts", str(file), "it is not text in UTF-8") from error
    except (OSError, RuntimeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SettingsError("prompts", str(file), f"it cannot be read: {reason}") from error


def _parse_json(text: str) -> object:
    """Return what JSON says, or None where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _read_prompt(place: str, line: str) -> dict[str, Any]:
    """Return the changes of a line that is a prompt. Raises `SettingsError`."""
    if line.startswith("--"):
        hint = 'give settings as JSON lines, such as {"prompt": "a fox", "steps": 20}'
        raise SettingsError(place, line, hint)
    return {"prompt": line}


def _typed_options(place: str, found: Mapping[str, object]) -> Iterable[str]:
    """Yield the keys and values of a JSON object as they would be typed. Raises `SettingsError`."""
    for key, value in found.items():
        if not _KEY.fullmatch(key):
            raise SettingsError(place, key, "keys are names of options, such as steps")
        option = "--" + key.replace("_", "-")
        if value is None:
            continue
        if isinstance(value, bool):
            yield option if value else option.replace("--", "--no-", 1)
            continue
        for each in value if isinstance(value, list) else [value]:
            if not isinstance(each, str | int | float):
                raise SettingsError(f"{place}: {option}", each, "must be a text or a number")
            yield f"{option}={each}"
