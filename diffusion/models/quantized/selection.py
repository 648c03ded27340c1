"""Which weights are quantised, and in which format: when a model is loaded, and in files.

Quantised are the matrices and convolutions of UNet and text encoders. Kept are vectors (biases and
norms), embeddings, the layers that read time, sizes and guidance, the UNet's first and last
convolution, the whole VAE, and weights of few numbers: what ComfyUI-GGUF and stable-diffusion.cpp
keep, too. Names are those of diffusers or of single files.
"""

from __future__ import annotations

import math
import re
from types import MappingProxyType
from typing import Final

from gpustd.quantization import BLOCK_FORMATS, block_format

__all__ = ["WEIGHT_NAMES", "WHOLE", "block_format_of", "select_format"]

_ALIASES: Final = MappingProxyType({"fp8": "fp8_e4m3fn"})
WHOLE: Final = "f16"
WEIGHT_NAMES: Final = (WHOLE, *_ALIASES, *BLOCK_FORMATS)
"""The names of ``--weights``: ``f16`` for weights that are not quantised; ``fp8`` is e4m3fn."""

_KEPT: Final = re.compile(
    r"(?:^|\.)(?:time_embed|time_embedding|label_emb|add_embedding|class_embedding|conv_in|conv_out"
    r"|input_blocks\.0\.0|token_embedding|position_embedding)\."
    r"|^(?:model\.diffusion_model\.)?out\.2\.|(?:^|\.)positional_embedding$|text_projection"
    r"|^first_stage_model\.|^vae\."
)
_FEWEST: Final = 1024
"""A weight of no more numbers is kept: its blocks would save next to nothing."""
_SMALLER: Final = MappingProxyType(
    {
        **dict.fromkeys(("q2_k", "q3_k", "iq4_xs"), "iq4_nl"),
        "q4_k": "q5_0",
        "q5_k": "q5_1",
        "q6_k": "q8_0",
    }
)
"""Formats with blocks of 32 where those of 256 do not fit, as llama.cpp chooses."""


def block_format_of(name: str) -> str | None:
    """Return the block format that a name in `WEIGHT_NAMES` means, None for another name."""
    found = _ALIASES.get(name, name)
    return found if found in BLOCK_FORMATS else None


def select_format(chosen: str, name: str, shape: tuple[int, ...], span: int) -> str | None:
    """Return the format of a weight where ``chosen`` is asked for; None where it is kept.

    ``span``: how many numbers blocks must fill: those of a row, of an output, or of the weight.
    """
    if len(shape) < 2 or math.prod(shape) <= _FEWEST or not name.endswith("weight"):
        return None
    if _KEPT.search(name):
        return None
    offered = (chosen, _SMALLER.get(chosen, chosen))
    return next((each for each in offered if span % block_format(each).elements == 0), None)
