"""Which type each tensor of a model gets in a quantised file, by `select_format`.

8-bit floats are for the UNet alone, since other tools look for their scales there.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Final, NamedTuple

from diffusion.checkpoints.safetensors.element_types import BLOCKS, FLOATING
from diffusion.errors import NAME_LENGTH, SettingsError, Shape, quote
from diffusion.models.quantized import WEIGHT_NAMES as FORMAT_NAMES
from diffusion.models.quantized import block_format_of, select_format

__all__ = ["WEIGHT_NAMES", "Rules", "TypeRule"]

_TYPES: Final = MappingProxyType({form: dtype for dtype, form in BLOCKS.items()})
WEIGHT_NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {name: _TYPES.get(block_format_of(name) or "", "F16") for name in FORMAT_NAMES}
)
"""The types that weights may get, by the names that a user types."""

_TEXT: Final = re.compile(r"^(?:cond_stage_model|conditioner|text_encoders?|te\d?)\b")


class TypeRule(NamedTuple):
    """The type of quantised weights whose names match a pattern."""

    pattern: str
    dtype: str


@dataclass(frozen=True)
class Rules:
    """The type of the quantised weights, ``dtype``, and which tensors are kept besides.

    ``keep``: patterns (``*`` and ``?``) of names. ``types``: patterns and the types that quantised
    weights of these names get instead; the first that matches counts. ``whole_rows``: blocks may
    not cross the ends of rows; stable-diffusion.cpp reads only such files. Convolutions are kept
    then.
    """

    dtype: str
    keep: tuple[str, ...] = ()
    whole_rows: bool = False
    types: tuple[TypeRule, ...] = ()

    @property
    def dtypes(self) -> tuple[str, ...]:
        """All types that quantised weights may get."""
        return (self.dtype, *(each.dtype for each in self.types))

    def require_use(self, names: Iterable[str]) -> None:
        """Raise `SettingsError` for a pattern that is that of none of these names."""
        found = list(names)
        for field, patterns in (
            ("keep", self.keep),
            ("rule", [each.pattern for each in self.types]),
        ):
            for pattern in patterns:
                if not any(fnmatchcase(name, pattern) for name in found):
                    hint = "must match the name of a tensor, such as " + quote(
                        max(found, key=len), NAME_LENGTH
                    )
                    raise SettingsError(field, pattern, hint)

    def type_of(self, name: str, dtype: str, shape: Shape) -> str:
        """Return the type of a tensor whose type is ``dtype`` in the source."""
        if dtype not in FLOATING and dtype not in BLOCKS:
            return dtype
        rules = (each.dtype for each in self.types if fnmatchcase(name, each.pattern))
        chosen = next(rules, self.dtype)
        if chosen == "F16" or self._keeps(name, chosen):
            return _kept_type(dtype, shape)
        span = math.prod(shape[-1:] if self.whole_rows else shape)
        found = select_format(BLOCKS[chosen], name, shape, span)
        return _kept_type(dtype, shape) if found is None else _TYPES[found]

    def _keeps(self, name: str, chosen: str) -> bool:
        """Tell whether a tensor is kept beside those that are never quantised."""
        if chosen.startswith("F8") and _TEXT.match(name):
            return True
        return any(fnmatchcase(name, pattern) for pattern in self.keep)


def _kept_type(dtype: str, shape: Shape) -> str:
    """Return the type of a tensor that is kept: vectors of F32 stay, other weights get F16."""
    if dtype == "F32" and len(shape) < 2:
        return "F32"
    return dtype if dtype in ("F16", "BF16") else "F16"
