"""Which type each tensor of a model gets in a quantised file, by `select_format`.

8-bit floats are for the UNet alone, since other tools look for their scales there.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Final

from diffusion.checkpoints.safetensors.element_types import BLOCKS, FLOATING
from diffusion.errors import Shape
from diffusion.models.quantized import WEIGHT_NAMES as FORMAT_NAMES
from diffusion.models.quantized import block_format_of, select_format

__all__ = ["WEIGHT_NAMES", "Rules"]

_TYPES: Final = MappingProxyType({form: dtype for dtype, form in BLOCKS.items()})
WEIGHT_NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {name: _TYPES.get(block_format_of(name) or "", "F16") for name in FORMAT_NAMES}
)
"""The types that weights may get, by the names that a user types."""

_TEXT: Final = re.compile(r"^(?:cond_stage_model|conditioner|text_encoders?|te\d?)\b")


@dataclass(frozen=True)
class Rules:
    """The type of the quantised weights, ``dtype``, and which tensors are kept besides.

    ``keep``: patterns (``*`` and ``?``) of names. ``whole_rows``: blocks may not cross the ends of
    rows; stable-diffusion.cpp reads only such files. Convolutions are kept then.
    """

    dtype: str
    keep: tuple[str, ...] = ()
    whole_rows: bool = False

    def type_of(self, name: str, dtype: str, shape: Shape) -> str:
        """Return the type of a tensor whose type is ``dtype`` in the source."""
        if dtype not in FLOATING and dtype not in BLOCKS:
            return dtype
        if self.dtype == "F16" or self._keeps(name):
            return _kept_type(dtype, shape)
        span = math.prod(shape[-1:] if self.whole_rows else shape)
        found = select_format(BLOCKS[self.dtype], name, shape, span)
        return _kept_type(dtype, shape) if found is None else _TYPES[found]

    def _keeps(self, name: str) -> bool:
        """Tell whether a tensor is kept beside those that are never quantised."""
        if self.dtype.startswith("F8") and _TEXT.match(name):
            return True
        return any(fnmatchcase(name, pattern) for pattern in self.keep)


def _kept_type(dtype: str, shape: Shape) -> str:
    """Return the type of a tensor that is kept: vectors of F32 stay, other weights get F16."""
    if dtype == "F32" and len(shape) < 2:
        return "F32"
    return dtype if dtype in ("F16", "BF16") else "F16"
