"""The table of block formats: elements and bytes of a block.

A tensor is stored as a run of blocks in row-major order. A block of ggml holds its own scale. An
8-bit float is a block of one element; a scale of the tensor, or one of each row, may stand beside.
Source: ggml, ``src/ggml-common.h``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from gpucore import ArgumentError
from gpucore.integers import ceil_div

__all__ = ["BLOCK_FORMATS", "BlockFormat", "block_format"]


class BlockFormat(NamedTuple):
    """A format: ``elements`` weights take ``nbytes`` bytes."""

    name: str
    elements: int
    nbytes: int

    @property
    def bits(self) -> float:
        """The bits of one weight."""
        return 8 * self.nbytes / self.elements

    def size_of(self, *shape: int) -> int:
        """Return the bytes of a tensor; a last block that is not full counts whole."""
        return ceil_div(math.prod(shape), self.elements) * self.nbytes


_TABLE: Final = (
    BlockFormat("fp8_e4m3fn", 1, 1),
    BlockFormat("fp8_e5m2", 1, 1),
    BlockFormat("iq4_nl", 32, 18),
    BlockFormat("iq4_xs", 256, 136),
    BlockFormat("q2_k", 256, 84),
    BlockFormat("q3_k", 256, 110),
    BlockFormat("q4_0", 32, 18),
    BlockFormat("q4_1", 32, 20),
    BlockFormat("q4_k", 256, 144),
    BlockFormat("q5_0", 32, 22),
    BlockFormat("q5_1", 32, 24),
    BlockFormat("q5_k", 256, 176),
    BlockFormat("q6_k", 256, 210),
    BlockFormat("q8_0", 32, 34),
)
BLOCK_FORMATS: Final[Mapping[str, BlockFormat]] = MappingProxyType(
    {each.name: each for each in _TABLE}
)
"""Each format by its name: as ggml spells it, in lower case."""


def block_format(name: str) -> BlockFormat:
    """Return the format of a name. Raises `ArgumentError`."""
    if name not in BLOCK_FORMATS:
        known = ", ".join(BLOCK_FORMATS)
        raise ArgumentError(f"block format must be one of {known}, got {name!r}")
    return BLOCK_FORMATS[name]
