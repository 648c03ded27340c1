"""R and U among the weights of a LoRA's blocks, as in hako-mikan/sd-webui-lora-block-weight.

``<lora:name:1:lbw=1,R,U,…>``: R is drawn from 0 to 1, U from -0.5 to 1.5, in thousandths.
"""

from __future__ import annotations

import re
from typing import Final

from diffusion.templates.draws import Draws

__all__ = ["draw_block_weights"]

_TAG: Final = re.compile(r"<(lora|lyco):([^<>:\n]+):([^<>\n]+)>")
_LIST: Final = re.compile(r"(?:(?:lbw|w)\s*=)?[^=]*,[^=]*")
_LETTER: Final = re.compile(r"(?<![^=,\s])[RUru](?![^,\s])")
_RANGES: Final = {"R": (0, 1000), "U": (-500, 1500)}


def draw_block_weights(prompt: str, draws: Draws) -> str:
    """Return a prompt with a number for each R and U in the lists of its tags."""

    def draw_letter(found: re.Match[str]) -> str:
        least, most = _RANGES[found[0].upper()]
        return f"{(least + draws.below(most - least + 1)) / 1000:g}"

    def draw_tag(found: re.Match[str]) -> str:
        parts = found[3].split(":")
        lists = (
            _LETTER.sub(draw_letter, each) if _LIST.fullmatch(each) else each for each in parts
        )
        return f"<{found[1]}:{found[2]}:{':'.join(lists)}>"

    return _TAG.sub(draw_tag, prompt)
