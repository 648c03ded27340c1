"""The family of models that a LoRA is for: that of the text which its cross-attentions read.

Files of other kinds and families are known by their names, so that an error can say what they are.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Final

from diffusion.adapters.tensor_roles import split_role
from diffusion.checkpoints.safetensors import SafetensorsFile
from diffusion.checkpoints.single_file.families import FAMILIES
from diffusion.errors import Shape

__all__ = ["family_title", "foreign_title", "text_tensors", "text_widths"]


_FOREIGN: Final = tuple(
    (re.compile(pattern), title)
    for pattern, title in (
        (r"lora_prior_(?:unet|te)_|.*\bkv_mapper\b", "an adapter for Stable Cascade"),
        (r".*\.(?:bias_indices|bias_values|bias_size)", "a LoRA with sparse biases"),
        (r".*\.reshape_weight", "a LoRA that enlarges layers"),
        (r"emb_params|string_to_param|clip_[lg]$", "an embedding (--embedding)"),
        (r"control_model\.|zero_convs\.|lora_controlnet", "a ControlNet (--control-model)"),
        (r"controlnet_|lllite_unet_", "a ControlNet (--control-model)"),
        (r"image_proj\.|ip_adapter\.", "an IP-Adapter (--ip-adapter)"),
        (r".*motion_modules\.", "a motion module of AnimateDiff"),
        (r"(?:320|640|768|1024|1280)\.", "a hypernetwork"),
        (r"conv_first\.|model\.0\.weight|body\.\d", "an upscaler or a T2I-Adapter"),
        (r"(?:first_stage_model\.)?(?:encoder|decoder)\.", "a VAE (--vae)"),
        (r"(?:model\.)?diffusion_model\.\w+\.(?!.*(?:lora|alpha|diff|lokr|hada|oft))", "a model"),
        (r".*(?:double|single)_(?:transformer_)?blocks", "an adapter for Flux"),
        (r"(?:lora_)?transformer[._]|lora_te3_|.*joint_blocks", "an adapter for SD 3 or Flux"),
        (
            r".*(?:img|txt)_(?:attn|mlp)|.*\bblocks[._]\d+[._](?:self|cross)_attn",
            "an adapter for another model",
        ),
    )
)
"""What a name tells, in order."""


def foreign_title(names: Collection[str]) -> str | None:
    """Return what a file is that has tensors of such names; None where they do not tell."""
    for pattern, title in _FOREIGN:
        if any(pattern.match(name) for name in names):
            return title
    return None


def text_tensors(file: SafetensorsFile) -> Iterator[tuple[str, Shape]]:
    """Yield the tensors whose last axis is the text that the UNet reads, with their shapes."""
    for name in file.names:
        split = split_role(name) if "attn2" in name else None
        if split is None or split.role not in ("down", "hada_w1_b", "diff"):
            continue
        shape = file.entry(name).shape
        if split.module.replace(".", "_").endswith("attn2_to_k") and len(shape) > 1:
            yield name, shape


def text_widths(file: SafetensorsFile) -> frozenset[int]:
    """Return the widths of text that a LoRA is for; none where its UNet's part does not tell."""
    return frozenset(shape[1] for _, shape in text_tensors(file))


def family_title(widths: Collection[int]) -> str:
    """Return the families that read text of such widths, in words."""
    titles = [each.title for each in FAMILIES if each.text_width in widths]
    return " or ".join(titles) or "a model of another family"
