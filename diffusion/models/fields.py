"""Rules for the keys of a model's JSON configs, and the reader that applies them.

A config is a frozen dataclass. The annotation of a field says which values a file may give::

    in_channels: Annotated[int, Integer(1, MAX_CHANNELS, default=3)]

A reader takes the keys it knows one after another. `Fields.refuse_unknown` then looks at what is
left: a key that cannot change the result passes, and any other is refused, since it may. A key
cannot change the result in three cases:

- Its name begins with ``_``: tools keep their own notes under such names.
- It is known to be a note: of training (`AVERAGING_KEYS`) or of a tool (`TOOL_KEYS`).
- It is ``null`` or ``false``. diffusers adds options switched off, so that older files keep their
  meaning. An option that takes parameters away when it is off is found by the check of the weights.

All numbers are bounded before anything is sized from them.
"""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Final, NoReturn, get_type_hints

from diffusion.errors import FilePath, ModelFormatError, quote

MAX_BLOCKS: Final = 8
MAX_LAYERS: Final = 128
MAX_TOTAL: Final = 1024
"""Residual and transformer blocks of a UNet in all; SDXL has 90."""
MAX_CHANNELS: Final = 16_384
MAX_SIDE: Final = 16_384

AVERAGING_KEYS: Final = frozenset(
    "decay inv_gamma min_decay optimization_step power update_after_step use_ema_warmup".split()
)
"""State of the moving average of weights, which training with diffusers leaves in a network's
config. The weights beside it are averaged already."""
TOOL_KEYS: Final = frozenset(
    "architectures dtype gradient_checkpointing model_type name_or_path torch_dtype "
    "transformers_version".split()
)
"""How a tool saved or trained a network: the type of its weights, its class, a version."""

_REQUIRED: Final = object()
_UNSUPPORTED = "this option is not supported; use a Stable Diffusion 1.x, 2.x or XL model"
_UNKNOWN = "if it is a note of the tool that wrote the file, remove it from there"
_DAMAGED = "the file is damaged; download the model again"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """The law of one key's value.

    ``default``: the value that an absent key stands for, since older tools leave newer keys out.
    ``nullable``: ``null`` is read as None. ``key``: its name in the file, if not the field's.
    """

    default: object = _REQUIRED
    nullable: bool = False
    key: str = ""

    def read(self, fields: "Fields", key: str, value: object) -> object:
        """Return the checked value. Raises ``ModelFormatError``."""
        raise NotImplementedError


@dataclass(frozen=True)
class Integer(Rule):
    """A whole number from ``low`` to ``high``."""

    low: int
    high: int

    def read(self, fields: "Fields", key: str, value: object) -> int:
        if (
            isinstance(value, bool)
            or not isinstance(value, int)
            or not self.low <= value <= self.high
        ):
            span = f"{self.low} to {self.high}"
            fields.fail(key, f"must be a whole number from {span}, got {quote(value)}")
        return value


@dataclass(frozen=True)
class Number(Rule):
    """A finite number from ``low`` to ``high``, read as a float."""

    low: float
    high: float

    def read(self, fields: "Fields", key: str, value: object) -> float:
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not self.low <= value <= self.high
        ):
            span = f"{self.low:g} to {self.high:g}"
            fields.fail(key, f"must be a number from {span}, got {quote(value)}")
        return float(value)


@dataclass(frozen=True)
class Flag(Rule):
    """``true`` or ``false``."""

    def read(self, fields: "Fields", key: str, value: object) -> bool:
        if not isinstance(value, bool):
            fields.fail(key, f"must be true or false, got {quote(value)}")
        return value


@dataclass(frozen=True)
class Word(Rule):
    """One of the ``allowed`` words."""

    allowed: tuple[str, ...]

    def read(self, fields: "Fields", key: str, value: object) -> str:
        if not isinstance(value, str) or value not in self.allowed:
            expected = " or ".join(self.allowed)
            fields.fail(key, f"must be {expected}, got {quote(value)}", _UNSUPPORTED)
        return value


@dataclass(frozen=True)
class ListOf(Rule):
    """A list of 1 to ``most`` values; a single value counts as a list of one."""

    rule: Rule
    most: int = MAX_BLOCKS

    def read(self, fields: "Fields", key: str, value: object) -> tuple[Any, ...]:
        items = value if isinstance(value, list) else [value]
        if not 1 <= len(items) <= self.most:
            fields.fail(key, f"must have 1 to {self.most} entries, got {len(items)}")
        return tuple(self.rule.read(fields, key, item) for item in items)


@dataclass(frozen=True)
class PerLevel(Rule):
    """One value for each entry of ``block_out_channels``, which must have been read before.

    ``repeat``: one value may stand for all levels.
    """

    rule: Rule
    repeat: bool = True

    def read(self, fields: "Fields", key: str, value: object) -> tuple[Any, ...]:
        levels = len(fields.values["block_out_channels"])
        items = value if isinstance(value, list) else [value]
        if self.repeat and len(items) == 1:
            items = items * levels
        if len(items) != levels or not (self.repeat or isinstance(value, list)):
            expected = f"a list of {levels}, one for each level"
            fields.fail(key, f"must be {expected}, got {quote(value)}")
        return tuple(self.rule.read(fields, key, item) for item in items)


class Fields:
    """The keys of one JSON object, taken one at a time; every failure names ``file`` and key.

    ``values``: what was read so far, by field.
    """

    def __init__(self, mapping: Mapping[str, object], file: FilePath) -> None:
        self._left = {key: mapping[key] for key in mapping if not key.startswith("_")}
        self._file = file
        self.values: dict[str, Any] = {}

    def read_all(self, config: type) -> dict[str, Any]:
        """Read every field of ``config`` whose annotation has a rule, in their order."""
        for name, annotation in get_type_hints(config, include_extras=True).items():
            for rule in getattr(annotation, "__metadata__", ()):
                self.values[name] = self.take(rule.key or name, rule)
        return self.values

    def take(self, key: str, rule: Rule) -> Any:
        """Return a key's checked value, or its default where the key is absent."""
        if key not in self._left and rule.default is _REQUIRED:
            self.fail(key, "is missing")
        value = self._left.pop(key, rule.default)
        return None if value is None and rule.nullable else rule.read(self, key, value)

    def has(self, key: str) -> bool:
        """Tell whether a key is there, not taken yet, and not ``null``."""
        return self._left.get(key) is not None

    def require_neutral(self, table: Mapping[str, object]) -> None:
        """Refuse options that change the computation, if they have another value than the table's.

        A tuple in the table holds several neutral values; the first is that of an absent key.
        """
        for key, neutral in table.items():
            allowed = neutral if isinstance(neutral, tuple) else (neutral,)
            value = self._left.pop(key, allowed[0])
            if not any(_same(value, item) for item in allowed):
                expected = " or ".join(quote(item) for item in allowed)
                self.fail(key, f"must be {expected}, got {quote(value)}", _UNSUPPORTED)

    def ignore(self, keys: Iterable[str]) -> None:
        """Skip keys that no computation here depends on, whatever they hold."""
        for key in keys:
            self._left.pop(key, None)

    def refuse_unknown(self, notes: AbstractSet[str] = TOOL_KEYS) -> None:
        """Refuse the keys that were not taken, except ``notes`` and options that are off."""
        for key, value in self._left.items():
            if value is not None and value is not False and key not in notes:
                reason = f"must be absent, null or false as an unknown key, got {quote(value)}"
                self.fail(quote(key), reason, f"{_UNSUPPORTED}; {_UNKNOWN}")

    def fail(self, key: str, reason: str, hint: str = _DAMAGED) -> NoReturn:
        """Raise ``ModelFormatError`` for one key of the file."""
        raise ModelFormatError(self._file, key, reason, hint)


def noted_keys(mapping: Mapping[str, object]) -> list[str]:
    """Return the keys of an accepted config that are notes of training or of a tool, in order."""
    return [key for key in mapping if key in AVERAGING_KEYS | TOOL_KEYS]


def check_groups(fields: Fields, groups: int, channels: tuple[int, ...]) -> None:
    """Refuse ``norm_num_groups`` unless it divides every block's channels."""
    if any(count % groups for count in channels):
        reason = f"must divide each of {list(channels)} channels, got {groups}"
        fields.fail("norm_num_groups", reason)


def _same(value: object, expected: object) -> bool:
    """Tell whether two values are equal, where ``true`` is not 1 but 1.0 is."""
    return value == expected and isinstance(value, bool) is isinstance(expected, bool)
