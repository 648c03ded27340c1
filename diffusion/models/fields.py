"""Strict reading of a model's JSON config: every key is asked for, bounded or refused.

A reader takes the keys it knows one after another; :meth:`Fields.finish` then refuses whatever
is left, so that no option of a model is passed over in silence.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Final, NoReturn

from diffusion.errors import FilePath, ModelFormatError, quoted

MAX_BLOCKS: Final = 8
MAX_LAYERS: Final = 128
MAX_TOTAL: Final = 1024
"""Residual and transformer blocks of a UNet in all; SDXL has 90."""
MAX_CHANNELS: Final = 16_384
MAX_SIDE: Final = 16_384

_OTHER = "this model needs a feature that is not built; use a Stable Diffusion 1.x, 2.x or XL model"
_DAMAGED = "the file is damaged; download the model again"


class Fields:
    """The keys of one JSON object, taken one at a time; every failure names ``file`` and key.

    A ``default`` stands for a key that is not there (older tools leave newer keys out), never
    for a value that is wrong. Keys that begin with ``_`` are notes of the tool that wrote them.
    """

    def __init__(self, mapping: Mapping[str, object], file: FilePath) -> None:
        self._left = {key: mapping[key] for key in mapping if not key.startswith("_")}
        self._file = file

    def has(self, key: str) -> bool:
        """Whether a key is there and not ``null``."""
        return self._left.get(key) is not None

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

    def integers_or(
        self, key: str, low: int, high: int, default: tuple[int, ...]
    ) -> tuple[int, ...]:
        """A list of 1 to ``MAX_BLOCKS`` whole numbers, ``default`` where there is none."""
        return self.integers(key, low, high, MAX_BLOCKS) if self.has(key) else default

    def integer_or_none(self, key: str, low: int, high: int) -> int | None:
        """A whole number from ``low`` to ``high``; ``null`` or nothing is None."""
        value = self._left.pop(key, None)
        return None if value is None else self._whole(key, value, low, high)

    def integers_of(
        self, key: str, low: int, high: int, count: int, default: int | None = None
    ) -> tuple[int, ...]:
        """``count`` whole numbers; a single number stands for that many equal ones."""
        found = self.integers(key, low, high, MAX_BLOCKS, default)
        found = found * count if len(found) == 1 else found
        if len(found) != count:
            self.fail(key, f"{list(found)} is not one for each of {count}")
        return found

    def rows(
        self, key: str, low: int, high: int, count: int, default: int | None = None
    ) -> tuple[tuple[int, ...], ...]:
        """``count`` lists of 1 to ``MAX_LAYERS`` whole numbers.

        A number stands for a list of one, a single number in place of all lists for that many.
        """
        value = self._take(key, default)
        rows = value if isinstance(value, list) else [value] * count
        if len(rows) != count:
            self.fail(key, f"has {len(rows)} entries, and {count} must be there")
        lists = [row if isinstance(row, list) else [row] for row in rows]
        if not all(1 <= len(row) <= MAX_LAYERS for row in lists):
            self.fail(key, f"has an entry that is no list of 1 to {MAX_LAYERS} numbers")
        return tuple(tuple(self._whole(key, item, low, high) for item in row) for row in lists)

    def groups(self, channels: tuple[int, ...]) -> int:
        """``norm_num_groups``, which must divide every block's channels."""
        key = "norm_num_groups"
        groups = self.integer(key, 1, MAX_CHANNELS, 32)
        if any(count % groups for count in channels):
            self.fail(key, f"{groups} does not divide all of {list(channels)} channels")
        return groups

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

    def flags(self, key: str, count: int, default: bool) -> tuple[bool, ...]:
        """``count`` times ``true`` or ``false``; a single one stands for that many."""
        value = self._take(key, default)
        items = value if isinstance(value, list) else [value] * count
        if len(items) != count or not all(isinstance(item, bool) for item in items):
            self.fail(key, f"is {quoted(value)}, and true or false for each of {count} must be")
        return tuple(items)

    def choice(self, key: str, allowed: Iterable[str], default: str | None = None) -> str:
        """One of the ``allowed`` words."""
        return self._word(key, self._take(key, default), tuple(allowed))

    def choice_or_none(self, key: str, allowed: Iterable[str], default: str | None) -> str | None:
        """One of the ``allowed`` words, or ``null`` as None."""
        value = self._left.pop(key, default)
        return None if value is None else self._word(key, value, tuple(allowed))

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
