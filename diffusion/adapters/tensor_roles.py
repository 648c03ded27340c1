"""The ends of tensors' names in adapter files: what each tensor is to its module.

Sources: kohya-ss/sd-scripts, huggingface/diffusers and peft, KohakuBlueleaf/LyCORIS, ComfyUI.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

__all__ = ["RoleName", "split_role"]


class RoleName(NamedTuple):
    """A tensor's name: the module's spelling, and the tensor's role in it."""

    module: str
    role: str


_LYCORIS: Final = "|".join(
    (
        *("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b", "hada_t1", "hada_t2"),
        *("lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2"),
        *("oft_blocks", "oft_diag", "rescale", "on_input"),
        *("alpha", "scale", "dora_scale", "diff", "diff_b", "set_weight", "w_norm", "b_norm"),
    )
)
_DOWN, _UP = r"(?:down|A)", r"(?:up|B)"
_RULES: Final = tuple(
    (re.compile(rf"(.+?){end}"), role)
    for end, role in (
        (rf"\.lora_{_DOWN}(?:\.[\w-]+)??(?:\.weight)?", "down"),
        (rf"\.lora_{_UP}(?:\.[\w-]+)??(?:\.weight)?", "up"),
        (r"\.lora_mid\.weight", "mid"),
        (r"(?:[._]lora|\.lora_linear_layer)\.down\.weight", "down"),
        (r"(?:[._]lora|\.lora_linear_layer)\.up\.weight", "up"),
        (r"[._]lora\.alpha", "alpha"),
        (r"\.lora_magnitude_vector(?:\.[\w-]+)?(?:\.weight)?", "dora_scale"),
        (r"\.oft_R(?:\.[\w-]+)?\.weight", "oft_R"),
        (r"\.oft_R(?:\.[\w-]+)?\.scaled_oft", "scaled_oft"),
        *((rf"\.{each}\.weight", each) for each in ("a1", "a2", "b1", "b2", "bm")),
        (rf"\.({_LYCORIS})", ""),
        (r"\.weight", "weight"),
    )
)


def split_role(name: str) -> RoleName | None:
    """Return the parts of a tensor's name; None for one that no adapter has."""
    for pattern, role in _RULES:
        if found := pattern.fullmatch(name):
            return RoleName(found[1], role or found[2])
    return None
