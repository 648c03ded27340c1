"""The one error tree of ``diffusion``.

::

    DiffusionError                 root: catch this to catch all of them
    ├── ModelError                 a model cannot be used
    │   ├── ModelNotFoundError     nothing lies at the given place
    │   ├── ModelFormatError       a file is damaged, hostile or of a kind that is not read
    │   ├── ModelMismatchError     a sound file, but its tensors are not those of the model
    │   └── MisfitError            one tensor of an adapter does not fit; gathered into the former
    ├── SettingsError              a setting (size, steps, sampler, ...) has a value out of range
    ├── StoppedError               the caller stopped the work
    ├── NotFiniteError             a network computed infinities or NaN instead of a picture
    └── OutputError                a result cannot be written

Every message is one line that says what is wrong, where, and what to do. Text from a file passes
through :func:`quote`, and a path through :func:`path_text`, so that neither can forge a line or
steer a terminal. Each class keeps its constructor's arguments as attributes and can be pickled.
"""

import os
from collections.abc import Sequence

Shape = tuple[int, ...]
FilePath = str | os.PathLike[str]

NAMED_KEYS = 5
"""Keys of one kind that a message names; the others are counted."""
NAME_LENGTH = 120
"""Characters of a tensor's name that a message shows; LoRAs have names of a hundred."""

LONGEST_PATH = 240
"""Characters of a path that a message shows."""


def escape(text: str) -> str:
    """Escape all invisible characters of ``text``: line ends, escapes, lone surrogates."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


def path_text(path: FilePath) -> str:
    """Return a path, escaped; of a very long one the beginning and the end."""
    text = escape(os.fspath(path))
    if len(text) <= LONGEST_PATH:
        return text
    return f"{text[:60]}...{text[-(LONGEST_PATH - 63) :]}"


def quote(text: object, limit: int = 60) -> str:
    """Quote and escape text from outside, and cut it after ``limit`` characters."""
    if not isinstance(text, str):
        text = repr(text)
        return text if len(text) <= limit else text[:limit] + "..."
    return repr(text) if len(text) <= limit else repr(text[:limit]) + "..."


def _join_parts(*parts: str) -> str:
    """Join the non-empty parts with ``"; "``."""
    return "; ".join(part for part in parts if part)


class DiffusionError(Exception):
    """Root of all errors that this package raises on purpose."""


class ModelError(DiffusionError):
    """A model cannot be used."""


class ModelNotFoundError(ModelError):
    """Nothing lies at the given place.

    ``path``: the place that was searched; ``reason``: what is missing; ``hint``: what to do.
    """

    def __init__(self, path: FilePath, reason: str, hint: str) -> None:
        super().__init__(path, reason, hint)
        self.path = os.fspath(path)
        self.reason = reason
        self.hint = hint

    def __str__(self) -> str:
        return _join_parts(f"{path_text(self.path)}: {self.reason}", self.hint)


class ModelFormatError(ModelError):
    """A file is damaged, hostile or of a kind that is not read.

    ``file``: its path; ``field``: the part of it that is wrong (``"header length"``,
    ``"tensor 'a': shape"``, ``"norm_eps"``); ``reason``: what is wrong; ``hint``: what to do.
    """

    def __init__(self, file: FilePath, field: str, reason: str, hint: str) -> None:
        super().__init__(file, field, reason, hint)
        self.file = os.fspath(file)
        self.field = field
        self.reason = reason
        self.hint = hint

    def __str__(self) -> str:
        return _join_parts(f"{path_text(self.file)}: {self.field}: {self.reason}", self.hint)


class ModelMismatchError(ModelError):
    """A sound file whose tensors are not those of the model.

    ``missing``, ``extra``: parameter names; ``misshapen``: ``(name, expected, found)`` shapes;
    ``mistyped``: ``(name, dtype)`` of tensors that hold no floating-point numbers.
    The attributes keep all of them; the message names at most five of a kind, then counts.
    """

    def __init__(
        self,
        file: FilePath,
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
        shapes = [
            f"{quote(name, NAME_LENGTH)} is {list(found)}, not {list(expected)}"
            for name, expected, found in self.misshapen
        ]
        types = [f"{quote(name, NAME_LENGTH)} is {quote(dtype)}" for name, dtype in self.mistyped]
        reasons = _join_parts(
            list_items("lacks", [quote(name, NAME_LENGTH) for name in self.missing]),
            list_items("has unknown", [quote(name, NAME_LENGTH) for name in self.extra]),
            list_items("wrong shape:", shapes),
            list_items("wrong type:", types),
        )
        file = path_text(self.file)
        return _join_parts(f"{file}: does not fit this model: {reasons}", self.hint)


class MisfitError(ModelError):
    """One tensor of an adapter has another shape than its module asks for, or no floats.

    ``name``: the tensor's; ``expected``, ``found``: shapes; ``dtype``: the type if it is wrong.
    """

    def __init__(self, name: str, expected: Shape, found: Shape, dtype: str = "") -> None:
        super().__init__(name, expected, found, dtype)
        self.name = name
        self.expected = expected
        self.found = found
        self.dtype = dtype

    def __str__(self) -> str:
        name = quote(self.name, NAME_LENGTH)
        if self.dtype:
            return f"{name} must hold floats, got {quote(self.dtype)}"
        return f"{name} must be {list(self.expected)}, got {list(self.found)}"


def list_items(title: str, items: Sequence[str]) -> str:
    """Return ``"lacks a, b and 7 more"``: at most `NAMED_KEYS` items; "" where there are none."""
    if not items:
        return ""
    rest = len(items) - NAMED_KEYS
    more = f" and {rest} more" if rest > 0 else ""
    return f"{title} {', '.join(items[:NAMED_KEYS])}{more}"


class SettingsError(DiffusionError):
    """A setting has a value out of range.

    ``field``: its name as the user writes it; ``value``: the given value, None where one is
    missing; ``hint``: what to do, or the rule, which begins with "must" or "needs".
    """

    def __init__(self, field: str, value: object, hint: str) -> None:
        super().__init__(field, value, hint)
        self.field = field
        self.value = value
        self.hint = hint

    def __str__(self) -> str:
        if self.value is None:
            return _join_parts(f"{self.field} is missing", self.hint)
        if self.hint.startswith(("must ", "needs ")):
            return _join_parts(f"{self.field} {self.hint}", f"got {quote(self.value)}")
        return _join_parts(f"{self.field} cannot be {quote(self.value)}", self.hint)


class StoppedError(DiffusionError):
    """A caller stopped the drawing of pictures, or a download."""


class NotFiniteError(DiffusionError):
    """A network computed infinities or NaN instead of a picture.

    ``part``: which network; ``place``: where in it or when; ``hint``: what to do.
    """

    def __init__(self, part: str, place: str, hint: str) -> None:
        super().__init__(part, place, hint)
        self.part = part
        self.place = place
        self.hint = hint

    def __str__(self) -> str:
        return _join_parts(f"{self.part}: numbers are infinite or NaN {self.place}", self.hint)


class OutputError(DiffusionError):
    """A result cannot be written.

    ``path``: the place of the result; ``reason``: what the system said; ``hint``: what to do.
    """

    def __init__(self, path: FilePath, reason: str, hint: str) -> None:
        super().__init__(path, reason, hint)
        self.path = os.fspath(path)
        self.reason = reason
        self.hint = hint

    def __str__(self) -> str:
        path = path_text(self.path)
        return _join_parts(f"{path}: cannot be written: {self.reason}", self.hint)
