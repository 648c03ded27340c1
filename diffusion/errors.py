"""The one error tree of ``diffusion``.

::

    DiffusionError                 root: catch this to catch all of them
    ├── ModelError                 a model cannot be used
    │   ├── ModelNotFoundError     nothing lies at the given place
    │   ├── ModelFormatError       a file is damaged, hostile or of a kind that is not read
    │   └── ModelMismatchError     a sound file, but its tensors are not those the model wants
    ├── SettingsError              a setting (size, steps, sampler, ...) has a value that cannot be
    ├── NotFiniteError             a network computed infinities or NaN: there is no picture in them
    ├── OutputError                a result cannot be written
    └── CancelledError             the caller asked a running job to stop

Every message is one line that says what is wrong, where, and what to do. Text that comes
out of a file passes through :func:`quoted`, and paths, which a folder may have chosen, through
:func:`printable`, so that they cannot forge a line or steer a terminal.
Each class keeps its constructor's arguments as attributes and can be pickled.
"""

import os
from collections.abc import Sequence

Shape = tuple[int, ...]
Path = str | os.PathLike[str]

NAMED_KEYS = 5
"""So many keys of a kind are named in a message; the others are counted."""


def printable(text: str) -> str:
    """``text`` with all that is not to be seen (line ends, escapes, lone surrogates) escaped."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


def quoted(text: object, limit: int = 60) -> str:
    """Text from outside, made safe to show: quoted, escaped, cut after ``limit`` characters."""
    if not isinstance(text, str):
        text = repr(text)
        return text if len(text) <= limit else text[:limit] + "..."
    return repr(text) if len(text) <= limit else repr(text[:limit]) + "..."


def _sentence(*parts: str) -> str:
    """The non-empty parts joined with ``"; "``."""
    return "; ".join(part for part in parts if part)


class DiffusionError(Exception):
    """Root of all errors that this package raises on purpose."""


class ModelError(DiffusionError):
    """A model cannot be used."""


class ModelNotFoundError(ModelError):
    """Nothing lies at the given place.

    ``path``: what was looked for; ``reason``: what is not there; ``hint``: what to do.
    """

    def __init__(self, path: Path, reason: str, hint: str) -> None:
        super().__init__(path, reason, hint)
        self.path = os.fspath(path)
        self.reason = reason
        self.hint = hint

    def __str__(self) -> str:
        return _sentence(f"{printable(self.path)}: {self.reason}", self.hint)


class ModelFormatError(ModelError):
    """A file is damaged, hostile or of a kind that is not read.

    ``file``: its path; ``field``: the part of it that is wrong (``"header length"``,
    ``"tensor 'a': shape"``, ``"norm_eps"``); ``reason``: what is wrong; ``hint``: what to do.
    """

    def __init__(self, file: Path, field: str, reason: str, hint: str) -> None:
        super().__init__(file, field, reason, hint)
        self.file = os.fspath(file)
        self.field = field
        self.reason = reason
        self.hint = hint

    def __str__(self) -> str:
        return _sentence(f"{printable(self.file)}: {self.field}: {self.reason}", self.hint)


class ModelMismatchError(ModelError):
    """A sound file whose tensors are not those that the model wants.

    ``missing``, ``extra``: parameter names; ``misshapen``: ``(name, wanted, found)`` shapes;
    ``mistyped``: ``(name, dtype)`` of tensors that hold no floating-point numbers.
    All are kept whole as attributes; the message names at most five of a kind, then counts.
    """

    def __init__(
        self,
        file: Path,
        hint: str,
        *,
        missing: Sequence[str] = (),
        extra: Sequence[str] = (),
        misshapen: Sequence[tuple[str, Shape, Shape]] = (),
        mistyped: Sequence[tuple[str, str]] = (),
    ) -> None:
        super().__init__(file, hint)
        self.file = os.fspath(file)
        self.hint = hint
        self.missing = tuple(missing)
        self.extra = tuple(extra)
        self.misshapen = tuple(misshapen)
        self.mistyped = tuple(mistyped)

    def __str__(self) -> str:
        shapes = [f"{quoted(n)} is {list(f)}, not {list(w)}" for n, w, f in self.misshapen]
        types = [f"{quoted(n)} is {quoted(t)}" for n, t in self.mistyped]
        reasons = _sentence(
            named("lacks", [quoted(name) for name in self.missing]),
            named("has unknown", [quoted(name) for name in self.extra]),
            named("wrong shape:", shapes),
            named("wrong type:", types),
        )
        file = printable(self.file)
        return _sentence(f"{file}: does not fit this model: {reasons}", self.hint)


def named(title: str, items: Sequence[str]) -> str:
    """``"lacks a, b and 7 more"``: at most ``NAMED_KEYS`` of the items, or nothing for none."""
    if not items:
        return ""
    rest = len(items) - NAMED_KEYS
    more = f" and {rest} more" if rest > 0 else ""
    return f"{title} {', '.join(items[:NAMED_KEYS])}{more}"


class SettingsError(DiffusionError):
    """A setting has a value that cannot be.

    ``field``: its name as the user writes it; ``value``: what was given, None for nothing where
    something must be; ``hint``: what to do, or the rule, which begins with "must" or "needs".
    """

    def __init__(self, field: str, value: object, hint: str) -> None:
        super().__init__(field, value, hint)
        self.field = field
        self.value = value
        self.hint = hint

    def __str__(self) -> str:
        if self.value is None:
            return _sentence(f"{self.field} is missing", self.hint)
        if self.hint.startswith(("must ", "needs ")):
            return _sentence(f"{self.field} {self.hint}", f"got {quoted(self.value)}")
        return _sentence(f"{self.field} cannot be {quoted(self.value)}", self.hint)


class NotFiniteError(DiffusionError):
    """A network computed infinities or NaN: there is no picture in them.

    ``part``: which network; ``place``: where in it or when; ``hint``: what to do.
    """

    def __init__(self, part: str, place: str, hint: str) -> None:
        super().__init__(part, place, hint)
        self.part = part
        self.place = place
        self.hint = hint

    def __str__(self) -> str:
        return _sentence(f"{self.part}: numbers are infinite or NaN {self.place}", self.hint)


class OutputError(DiffusionError):
    """A result cannot be written.

    ``path``: where to; ``reason``: what the system said; ``hint``: what to do.
    """

    def __init__(self, path: Path, reason: str, hint: str) -> None:
        super().__init__(path, reason, hint)
        self.path = os.fspath(path)
        self.reason = reason
        self.hint = hint

    def __str__(self) -> str:
        path = printable(self.path)
        return _sentence(f"{path}: cannot be written: {self.reason}", self.hint)


class CancelledError(DiffusionError):
    """The caller asked a running job to stop. ``done`` of ``total`` steps were finished."""

    def __init__(self, done: int, total: int) -> None:
        super().__init__(done, total)
        self.done = done
        self.total = total

    def __str__(self) -> str:
        return f"cancelled after {self.done} of {self.total} steps"
