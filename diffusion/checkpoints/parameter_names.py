"""Parameter names: other spellings of the diffusers layout, and the kind of model that names tell.

The models' own names are the diffusers layout's; for the text encoder those of transformers 4, with
``text_model.`` in front. A table here turns another spelling into them.
"""

import re
from collections.abc import Iterable

NameTable = tuple[tuple[re.Pattern[str], str], ...]
"""Pairs of a pattern and what replaces it, all of them applied in order to every name."""

CLIP_NAMES: NameTable = (
    (re.compile(r"^(?=(?:embeddings|encoder|final_layer_norm)\.)"), "text_model."),
)
"""transformers 4 saves ``text_model.encoder...``, transformers 5 ``encoder...``."""

VAE_NAMES: NameTable = (
    (re.compile(r"(\.attentions\.\d+)\.query\."), r"\1.to_q."),
    (re.compile(r"(\.attentions\.\d+)\.key\."), r"\1.to_k."),
    (re.compile(r"(\.attentions\.\d+)\.value\."), r"\1.to_v."),
    (re.compile(r"(\.attentions\.\d+)\.proj_attn\."), r"\1.to_out.0."),
)
"""diffusers before 0.13 named the projections of the VAE's attention differently."""

UNET_NAMES: NameTable = ()

IGNORED_NAMES = frozenset(
    {"text_model.embeddings.position_ids", "vision_model.embeddings.position_ids"}
)
"""Tensors of old files that hold no weights: whole numbers from 0 on."""

_KINDS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("a LoRA", re.compile(r"\blora_(?:A|B|up|down|unet|te)|\.lora\.|^lora_")),
    (
        "a single-file checkpoint",
        re.compile(r"^(?:model\.diffusion_model|first_stage_model|cond_stage_model|conditioner)\."),
    ),
    ("a textual-inversion embedding", re.compile(r"^(?:emb_params|string_to_param|clip_[lg])\b")),
    ("a ControlNet", re.compile(r"^controlnet_")),
    ("an IP-Adapter", re.compile(r"^(?:image_proj|ip_adapter)\.")),
    ("an SDXL UNet", re.compile(r"^add_embedding\.")),
    ("a Stable Diffusion UNet", re.compile(r"^time_embedding\.linear_1\.")),
    ("a VAE", re.compile(r"^(?:encoder|decoder)\.(?:conv_in|conv_out|mid_block)\.")),
    ("a CLIP vision encoder", re.compile(r"^(?:vision_model\.|embeddings\.patch_embedding)")),
    ("a CLIP text encoder", re.compile(r"^(?:text_model\.)?encoder\.layers\.\d+\.self_attn\.")),
)


def translate_name(name: str, table: NameTable) -> str:
    """Return the name in this project's spelling."""
    for pattern, replacement in table:
        name = pattern.sub(replacement, name)
    return name


def model_kind(names: Iterable[str]) -> str:
    """Return the kind of model that has these parameter names; ``""`` if it is not known."""
    names = tuple(names)
    for title, sign in _KINDS:
        if any(sign.search(name) for name in names):
            return title
    return ""
