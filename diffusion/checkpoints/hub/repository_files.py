"""The files of a repository in the diffusers layout, and which of them are downloaded."""

from __future__ import annotations

import re
from collections.abc import Iterable

VARIANTS = ("plain", "fp16")
"""What `fetch_offer` may be asked for: the weights as they are, or their half-size copies."""

_ALWAYS = re.compile(
    r"model_index\.json|README\.md|LICEN[CS]E[\w.-]*|scheduler/scheduler_config\.json"
    r"|(?:unet|vae|text_encoder|text_encoder_2)/config\.json"
    r"|tokenizer(?:_2)?/(?:vocab\.json|merges\.txt|special_tokens_map\.json|tokenizer_config\.json)"
)
_WEIGHTS = re.compile(
    r"(?P<part>(?:unet|vae)(?=/diff)|text_encoder(?:_2)?(?=/model))/(?:diffusion_pytorch_model|model)"
    r"(?:\.(?P<variant>fp16))?(?:-\d{5}-of-\d{5})?"
    r"\.safetensors(?:\.index(?:\.(?P<index_variant>fp16))?\.json)?"
)


def choose_files(names: Iterable[str], variant: str | None = None) -> list[str]:
    """Return the files of a repository in the diffusers layout that are downloaded.

    ``variant``: one of `VARIANTS`; None for ``fp16`` where every part has it, else ``plain``. A
    part that lacks the variant comes in the other.
    """
    names = list(names)
    weights = [(name, match) for name in names if (match := _WEIGHTS.fullmatch(name))]
    offered: dict[str, set[str]] = {}
    for _, match in weights:
        offered.setdefault(match["part"], set()).add(_variant_of(match))
    if variant is None:
        variant = "fp16" if all("fp16" in variants for variants in offered.values()) else "plain"
    taken = {
        part: variant if variant in variants else min(variants)
        for part, variants in offered.items()
    }
    chosen = [name for name, match in weights if taken[match["part"]] == _variant_of(match)]
    return sorted([name for name in names if _ALWAYS.fullmatch(name)] + chosen)


def is_weight_file(name: str) -> bool:
    """Tell whether a file holds weights in the diffusers layout."""
    return _WEIGHTS.fullmatch(name) is not None


def _variant_of(match: re.Match[str]) -> str:
    """Return the variant of a file of weights."""
    return match["variant"] or match["index_variant"] or "plain"
