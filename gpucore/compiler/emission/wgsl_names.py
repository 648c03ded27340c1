"""Names in WGSL: those of the Python source where WGSL allows them, each meaning one thing."""

from __future__ import annotations

import re
from typing import Final

from gpucore.wgsl.lexer import KEYWORDS, RESERVED

__all__ = ["Names"]

# Names of WGSL that a declaration would hide from the code that needs them.
_OWN: Final = frozenset(
    "abs acos acosh all any array arrayLength asin asinh atan atan2 atanh atomic atomicAdd "
    "atomicAnd atomicCompareExchangeWeak atomicExchange atomicLoad atomicMax atomicMin atomicOr "
    "atomicStore atomicSub atomicXor bitcast bool ceil clamp cos cosh countLeadingZeros "
    "countOneBits countTrailingZeros cross degrees determinant distance dot exp exp2 "
    "extractBits f16 f32 faceForward firstLeadingBit firstTrailingBit floor fma fract frexp i32 "
    "insertBits inverseSqrt ldexp length log log2 main max min mix modf normalize pow "
    "pack2x16float radians reflect refract reverseBits round saturate select sign sin sinh "
    "smoothstep sqrt step storageBarrier tan tanh transpose trunc u32 unpack2x16float "
    "workgroupBarrier workgroupUniformLoad".split()
)
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z|_[A-Za-z0-9][A-Za-z0-9_]*\Z")
_SHAPED: Final = re.compile(r"(vec[234]|mat[234]x[234])[fhiu]?\Z")
_OF_SUBGROUPS: Final = re.compile("subgroup[A-Z]|quad[A-Z]|subgroup_matrix")


class Names:
    """Gives each thing of a module a name of its own."""

    def __init__(self, taken: set[str] | None = None) -> None:
        self._taken: set[str] = taken or set()

    def child(self) -> Names:
        """Return the names of a scope inside: they are not those of the scope around."""
        return Names(set(self._taken))

    def unique(self, name: str) -> str:
        """Return a name like ``name`` that nothing else has."""
        plain = name if _WORD.match(name) else re.sub(r"\W|^_+", "", name, flags=re.ASCII)
        plain = re.sub("__+", "_", plain)  # WGSL keeps names with two for itself
        if not plain or plain[0].isdigit() or _OF_SUBGROUPS.match(plain):
            plain = f"name_{plain}"
        found, number = plain, 1
        while not self._is_free(found):
            number += 1
            found = f"{plain}{number}" if plain[-1] == "_" else f"{plain}_{number}"
            found = f"{plain}_" if number == 2 and plain[-1] != "_" else found
        self._taken.add(found)
        return found

    def _is_free(self, name: str) -> bool:
        known = name in KEYWORDS or name in RESERVED or name in _OWN or name in self._taken
        return not known and not _SHAPED.match(name) and "__" not in name
