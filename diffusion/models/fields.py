"""Strict reading of a model's JSON config: every key is asked for, bounded or refused.

A reader takes the keys it knows one after another; :meth:`Fields.finish` then refuses whatever
is left, so that no option of a model is passed over in silence.
"""

import math
from collections.abc import Iterable, Mapping
from typing import NoReturn

from diffusion.errors import ModelFormatError, Path, quoted

_OTHER = "this model needs a feature that is not built; use a Stable Diffusion 1.x or 2.x model"
_DAMAGED = "the file is damaged; download the model again"


class Fields:
    """The keys of one JSON object, taken one at a time; every failure names ``file`` and key.

    A ``default`` stands for a key that is not there (older tools leave newer keys out), never
    for a value that is wrong. Keys that begin with ``_`` are notes of the tool that wrote them.
    """

    def __init__(self, mapping: Mapping[str, object], file: Path) -> None:
        self._left = {key: mapping[key] for key in mapping if not key.startswith("_")}
        self._file = file

    def integer(self, key: str, low: int, high: int, default: int | None = None) -> int:
        """A whole number from ``low`` to ``high``."""
        return self._whole(key, self._take(key, default), low, high)

    def integers(
        self, key: str, low: int, high: int, most: int, default: int | None = None
    ) -> tuple[int, ...]:
        """A list of 1 to ``most`` whole numbers; a single number counts as a list of one."""
        value = self._take(key, default)
        items = value if isinstance(value, list) else [value]
        if not 1 <= len(items) <= most:
            self.fail(key, f"has {len(items)} entries, and 1 to {most} may be")
        return tuple(self._whole(key, item, low, high) for item in items)

    def number(self, key: str, low: float, high: float, default: float | None = None) -> float:
        """A finite number from ``low`` to ``high``."""
        value = self._take(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.fail(key, f"is {quoted(value)}, and a number must be there")
        if not low <= value <= high or not math.isfinite(value):
            self.fail(key, f"is {quoted(value)}, and {low:g} to {high:g} may be")
        return float(value)

    def flag(self, key: str, default: bool | None = None) -> bool:
        """``true`` or ``false``."""
        value = self._take(key, default)
        if not isinstance(value, bool):
            self.fail(key, f"is {quoted(value)}, and true or false must be there")
        return value

    def choice(self, key: str, allowed: Iterable[str], default: str | None = None) -> str:
        """One of the ``allowed`` words."""
        return self._word(key, self._take(key, default), tuple(allowed))

    def choices(self, key: str, allowed: Iterable[str], count: int) -> tuple[str, ...]:
        """A list of ``count`` of the ``allowed`` words."""
        value = self._take(key, None)
        if not isinstance(value, list) or len(value) != count:
            self.fail(key, f"is {quoted(value)}, and a list of {count} words must be there")
        return tuple(self._word(key, item, tuple(allowed)) for item in value)

    def fixed(self, table: Mapping[str, object]) -> None:
        """Keys that may be left out, and else must hold the one value that is supported.

        A tuple in the table holds several such values.
        """
        for key, wanted in table.items():
            allowed = wanted if isinstance(wanted, tuple) else (wanted,)
            value = self._left.pop(key, allowed[0])
            if not any(_same(value, item) for item in allowed):
                reason = f"is {quoted(value)}, and only {quoted(allowed[0])} is supported"
                self.fail(key, reason, _OTHER)

    def skip(self, keys: Iterable[str]) -> None:
        """Keys that may hold anything, since nothing computed here depends on them."""
        for key in keys:
            self._left.pop(key, None)

    def finish(self) -> None:
        """Refuse the keys that nobody asked for."""
        for key, value in self._left.items():
            self.fail(
                quoted(key), f"is a key that is not known (its value: {quoted(value)})", _OTHER
            )

    def fail(self, key: str, reason: str, hint: str = _DAMAGED) -> NoReturn:
        """Refuse the file because of one key."""
        raise ModelFormatError(self._file, key, reason, hint)

    def _take(self, key: str, default: object) -> object:
        if key not in self._left and default is None:
            self.fail(key, "is missing")
        return self._left.pop(key, default)

    def _whole(self, key: str, value: object, low: int, high: int) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            self.fail(key, f"is {quoted(value)}, and a whole number must be there")
        if not low <= value <= high:
            self.fail(key, f"is {quoted(value)}, and {low} to {high} may be")
        return value

    def _word(self, key: str, value: object, allowed: tuple[str, ...]) -> str:
        if not isinstance(value, str) or value not in allowed:
            self.fail(
                key, f"is {quoted(value)}, and only {', '.join(allowed)} are supported", _OTHER
            )
        return value


def _same(value: object, wanted: object) -> bool:
    """Equal, where ``true`` is not 1 and 1.0 is."""
    return value == wanted and isinstance(value, bool) is isinstance(wanted, bool)
