"""Weights of a UNet's blocks (``lbw=``), as in hako-mikan/sd-webui-lora-block-weight.

The numbers stand for the text encoders (BASE), the blocks on the way down (IN), the middle (M00)
and those on the way up (OUT), as single files number them. A block that has no number has the
weight 0. Layers outside of the blocks, such as the time embedding, keep the weight 1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from diffusion.errors import SettingsError, quote

__all__ = ["SLOTS", "block_ratio", "has_blocks", "misses_blocks", "read_blocks", "slot_of"]


def _slots(downs: Sequence[int], ups: Sequence[int]) -> tuple[str, ...]:
    return ("BASE", *(f"IN{i:02}" for i in downs), "M00", *(f"OUT{i:02}" for i in ups))


_OF_COUNT: Final[Mapping[int, tuple[str, ...]]] = {
    12: _slots((4, 5, 7, 8), range(6)),
    17: _slots((1, 2, 4, 5, 7, 8), range(3, 12)),
    20: _slots(range(9), range(9)),
    26: _slots(range(12), range(12)),
}
SLOTS: Final = _OF_COUNT[26]
"""All of them, in order."""
_OF_XL: Final = (12, 20)
_PRESETS: Final = {
    "NONE": (0.0,) * 17,
    "ALL": (1.0,) * 17,
    "ALL0.5": (0.5,) * 17,
    "INS": (1.0,) * 4 + (0.0,) * 13,
    "IND": (1.0,) + (0.0,) * 3 + (1.0,) * 3 + (0.0,) * 10,
    "INALL": (1.0,) * 7 + (0.0,) * 10,
    "MIDD": (1.0,) + (0.0,) * 3 + (1.0,) * 8 + (0.0,) * 5,
    "OUTD": (1.0,) + (0.0,) * 7 + (1.0,) * 4 + (0.0,) * 5,
    "OUTS": (1.0,) + (0.0,) * 11 + (1.0,) * 5,
    "OUTALL": (1.0,) + (0.0,) * 7 + (1.0,) * 9,
}
"""For the 17 blocks that a usual LoRA of SD 1.x and 2.x has."""
_PREFIXES: Final = {"input_blocks": "IN", "output_blocks": "OUT"}
_BLOCK: Final = re.compile(r"(input_blocks|middle_block|output_blocks)\.(\d+)\.")
_OF_TAG: Final = re.compile(r"X(?:([+-])(\d{1,9}(?:\.\d{0,9})?|\.\d{1,9}))?")
_DRAWN: Final = frozenset("RU")
_MOST_DIGITS: Final = 40
_HINT: Final = (
    f"lbw must be 12 or 20 numbers for SDXL, 17 or 26 for other models, or {', '.join(_PRESETS)}"
)


def has_blocks(text: str) -> bool:
    """Tell whether a text is the name of weights, or as long a list as one of them."""
    return text.strip().upper() in _PRESETS or text.count(",") + 1 in _OF_COUNT


def read_blocks(tag: str, text: str, inherited: float = 1.0) -> tuple[float, ...]:
    """Return the numbers of a text such as ``IND`` or ``1,0,X,X+0.2,…``. Raises `SettingsError`.

    ``inherited``: the number that X stands for.
    """
    name = text.strip().upper()
    if name in _PRESETS:
        return _PRESETS[name]
    parts = [each.strip().upper() for each in text.split(",", 26)]
    if not _DRAWN.isdisjoint(parts) and len(parts) in _OF_COUNT:
        hint = "R and U in lbw are drawn from a seed: take --dynamic, or write numbers"
        raise SettingsError("prompt", tag, hint)
    try:
        numbers = tuple(_read_number(each, inherited) for each in parts)
    except ValueError:
        numbers = ()
    if len(numbers) not in _OF_COUNT:
        raise SettingsError("prompt", tag, f"{_HINT}; got {quote(text)}")
    return numbers


def _read_number(text: str, inherited: float) -> float:
    """Return the number of a part. Raises `ValueError`."""
    found = _OF_TAG.fullmatch(text)
    if found is None:
        return float(text[:_MOST_DIGITS])
    offset = float(found[2] or 0)
    return inherited - offset if found[1] == "-" else inherited + offset


def misses_blocks(blocks: Sequence[float], *, is_xl: bool) -> bool:
    """Tell whether so many numbers are those of another family: some blocks have none."""
    return (len(blocks) in _OF_XL) is not is_xl


def slot_of(single_name: str | None) -> str | None:
    """Return the slot of a layer, such as IN04; None for one outside of the blocks.

    ``single_name``: its name in single files, None for one of the text encoders.
    """
    if single_name is None:
        return "BASE"
    found = _BLOCK.match(single_name)
    if found is None:
        return None
    return "M00" if found[1] == "middle_block" else f"{_PREFIXES[found[1]]}{int(found[2]):02}"


def block_ratio(blocks: Sequence[float], slot: str | None) -> float:
    """Return the weight of a layer in a slot, as `slot_of` names it."""
    if slot is None:
        return 1.0
    return dict(zip(_OF_COUNT[len(blocks)], blocks, strict=True)).get(slot, 0.0)
