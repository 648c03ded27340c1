"""Weights of a UNet's blocks (``lbw=``), as in hako-mikan/sd-webui-lora-block-weight.

The numbers stand for the text encoders (BASE), the blocks on the way down (IN), the middle (M) and
those on the way up (OUT), as single files number them. A block that has no number has the weight
0. Layers outside of the blocks, such as the time embedding, keep the weight 1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from diffusion.errors import SettingsError, quote

__all__ = ["block_ratio", "check_blocks", "read_blocks"]


def _slots(downs: Sequence[int], ups: Sequence[int]) -> tuple[str, ...]:
    return ("BASE", *(f"IN{i}" for i in downs), "M", *(f"OUT{i}" for i in ups))


_SLOTS: Final[Mapping[int, tuple[str, ...]]] = {
    12: _slots((4, 5, 7, 8), range(6)),
    17: _slots((1, 2, 4, 5, 7, 8), range(3, 12)),
    20: _slots(range(9), range(9)),
    26: _slots(range(12), range(12)),
}
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
_PREFIXES: Final = {"input_blocks": "IN", "middle_block": "M", "output_blocks": "OUT"}
_BLOCK: Final = re.compile(r"(input_blocks|middle_block|output_blocks)\.(\d+)\.")
_MOST_DIGITS: Final = 40
_HINT: Final = (
    f"lbw must be 12 or 20 numbers for SDXL, 17 or 26 for other models, or {', '.join(_PRESETS)}"
)


def read_blocks(tag: str, text: str) -> tuple[float, ...]:
    """Return the numbers of a text such as ``IND`` or ``1,0,0,…``. Raises `SettingsError`."""
    name = text.strip().upper()
    if name in _PRESETS:
        return _PRESETS[name]
    try:
        numbers = tuple(float(each[:_MOST_DIGITS]) for each in text.split(",", 26))
    except ValueError:
        numbers = ()
    if len(numbers) not in _SLOTS:
        raise SettingsError("prompt", tag, f"{_HINT}; got {quote(text)}")
    return numbers


def check_blocks(name: str, blocks: Sequence[float], *, is_xl: bool) -> None:
    """Raise `SettingsError` for another number of weights than the model's blocks have."""
    if (len(blocks) in _OF_XL) is not is_xl:
        raise SettingsError("lora", name, f"{_HINT}; got {len(blocks)} numbers")


def block_ratio(blocks: Sequence[float], single_name: str | None) -> float:
    """Return the weight of a layer.

    ``single_name``: its name in single files, None for one of the text encoders.
    """
    slots = dict(zip(_SLOTS[len(blocks)], blocks, strict=True))
    if single_name is None:
        return slots["BASE"]
    found = _BLOCK.match(single_name)
    if found is None:
        return 1.0
    prefix = _PREFIXES[found[1]]
    return slots.get(prefix if prefix == "M" else f"{prefix}{int(found[2])}", 0.0)
