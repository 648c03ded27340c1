"""The file of a batch: a job as JSON on each line, checked before any work."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from pydantic import ValidationError

from diffusion.errors import DiffusionError, SettingsError, quote
from diffusion.server.adapters import VaeTable
from diffusion.server.engine.messages import ModelsBeside
from diffusion.server.errors import RefusedError
from diffusion.server.jobs.request import JobRequest
from diffusion.server.models import find_entry, scan_models

__all__ = ["BadLine", "BatchFile", "Line", "ModelNames", "read_request"]

LARGEST_LINE: Final = 64 << 20
"""Bytes of a line, which may hold pictures."""

_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_SHOWN_PROBLEMS: Final = 3


@dataclass(frozen=True)
class Line:
    """A job of the file. ``number``: of its line, from 1. ``id``: begins its pictures' names.

    ``place``: the byte where it begins. ``key`` tells it from all other work, also from the same
    line again. ``model``: as the line names it; ``seed``: None for a random one.
    """

    number: int
    id: str
    key: str
    place: int
    count: int
    model: str | None
    seed: int | None


@dataclass(frozen=True)
class BadLine:
    """A line that is no job, and why."""

    number: int
    key: str
    reason: str


class ModelNames:
    """The models that lines may name, and the one of those that name none.

    ``default``: its path. ``folder``: of further models; ``vaes``: of VAEs.
    """

    def __init__(self, default: Path, folder: Path | None, vaes: Path | None = None) -> None:
        self._default, self._entries = default, tuple(scan_models(folder))
        self._vaes = VaeTable(vaes)

    def beside(self, request: JobRequest) -> ModelsBeside:
        """Return where the other models of a line lie. Raises as `find`, and `SettingsError`."""
        refiner, hires = request.refiner, request.hires
        second = None if hires is None or hires.model is None else self.find(hires.model)
        own = self.find(request.model)
        found = None if refiner is None else self.find(refiner.model)
        return ModelsBeside(
            vae=None if request.vae is None else self._vaes.find(request.vae),
            refiner=None if found == own else found,
            switch=ModelsBeside.switch if refiner is None else refiner.switch,
            hires=None if second == own else second,
        )

    def find(self, name: str | None) -> Path:
        """Return the path of a model. Raises `UnknownModelError`."""
        if name is None:
            return self._default
        return find_entry(self._entries, name, "avila model list shows them, and --models").path


class BatchFile:
    """The jobs of a file. ``defaults``: fields of lines that do not give them.

    ``identity``: what else pictures depend on; work with another one is other work.
    """

    def __init__(
        self, file: BinaryIO, defaults: Mapping[str, Any], models: ModelNames, identity: str
    ) -> None:
        self._file, self._defaults, self._models, self._identity = file, defaults, models, identity
        self._seen = Counter[str]()
        self._ids: dict[str, int] = {}

    def lines(self) -> Iterator[Line | BadLine]:
        """Yield each line that is not blank, and no comment (``#``)."""
        self._file.seek(0)
        place, number = 0, 0
        while data := self._file.readline(LARGEST_LINE + 1):
            number += 1
            begin, place = place, place + len(data)
            if len(data) > LARGEST_LINE:
                yield self._bad(number, data, f"it has over {LARGEST_LINE >> 20} MiB")
                place += self._skip_rest(data)
                continue
            text = data.strip().removeprefix(b"\xef\xbb\xbf")
            if text and not text.startswith(b"#"):
                try:
                    yield self._read(number, begin, text)
                except DiffusionError as error:
                    yield self._bad(number, data, str(error))

    def _skip_rest(self, data: bytes) -> int:
        """Read to the end of a line; return the bytes."""
        skipped = 0
        while data and not data.endswith(b"\n"):
            data = self._file.readline(1 << 20)
            skipped += len(data)
        return skipped

    def _read(self, number: int, place: int, text: bytes) -> Line:
        """Return a line. Raises `SettingsError` and other errors of what it says."""
        fields = _read_fields(text, self._defaults)
        name = fields.pop("id", None)
        request = _checked_request(fields)
        self._models.beside(request)
        found = self._find_id(number, name)
        key = self._key(json.dumps([name, fields], sort_keys=True).encode())
        return Line(number, found, key, place, request.count, request.model, request.seed)

    def _find_id(self, number: int, name: object) -> str:
        """Return a line's name. Raises `SettingsError`."""
        if name is None:
            return f"{number:05d}"
        if not isinstance(name, str) or not _ID.fullmatch(name):
            hint = "must be 1 to 100 letters, digits, dots, hyphens or underscores"
            raise SettingsError("id", name, hint)
        before = self._ids.setdefault(name.casefold(), number)
        if before != number:
            raise SettingsError("id", name, f"line {before} has it; give each line its own")
        return name

    def _key(self, work: bytes) -> str:
        digest = hashlib.sha256(self._identity.encode() + work).hexdigest()[:24]
        self._seen[digest] += 1
        return f"{digest}-{self._seen[digest]}"

    def _bad(self, number: int, data: bytes, reason: str) -> BadLine:
        return BadLine(number, self._key(b"bad" + data), reason)

    def request_json(self, line: Line) -> str:
        """Return the request of a line, read again, as JSON."""
        self._file.seek(line.place)
        text = self._file.readline(LARGEST_LINE).strip().removeprefix(b"\xef\xbb\xbf")
        fields = _read_fields(text, self._defaults)
        fields.pop("id", None)
        return json.dumps(fields)


def _read_fields(text: bytes, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a line over the defaults. Raises `SettingsError`."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else "it is not UTF-8"
        hint = f'must be JSON, such as {{"prompt": "a fox"}} ({reason.lower()})'
        raise SettingsError("line", text[:40].decode(errors="replace"), hint) from None
    if not isinstance(found, dict):
        raise SettingsError("line", found, 'must be an object, such as {"prompt": "a fox"}')
    return {**defaults, **found}


def _checked_request(fields: Mapping[str, Any]) -> JobRequest:
    """Return a request whose settings and pictures are right. Raises as `read_request`."""
    request = read_request(json.dumps(fields))
    request.settings()
    return request


def read_request(text: str) -> JobRequest:
    """Return the request in JSON, with its pictures written anew.

    Raises `RefusedError` and `SettingsError`.
    """
    try:
        return JobRequest.model_validate_json(text).clean()
    except ValidationError as error:
        problems = [_problem(each) for each in error.errors(include_url=False)]
        more = len(problems) - _SHOWN_PROBLEMS
        rest = [f"and {more} more"] if more > 0 else []
        raise RefusedError("; ".join([*problems[:_SHOWN_PROBLEMS], *rest])) from None


def _problem(error: Any) -> str:
    """Return one problem as a sentence: the field, the rule, what was given."""
    name = ".".join(map(str, error["loc"])) or "line"
    if error["type"] == "extra_forbidden":
        return f"{quote(name)} is no field of a job; docs/server.md tells where they stand"
    if error["type"] == "missing":
        return f"{name} must be given"
    return f"{name}: {error['msg'].lower()}, got {quote(error['input'])}"
