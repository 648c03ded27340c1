"""The family of models that a LoRA is for: that of the text which its cross-attentions read."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from diffusion.adapters.tensor_roles import split_role
from diffusion.checkpoints.safetensors import SafetensorsFile
from diffusion.checkpoints.single_file.families import FAMILIES
from diffusion.errors import Shape

__all__ = ["family_title", "text_tensors", "text_widths"]


def text_tensors(file: SafetensorsFile) -> Iterator[tuple[str, Shape]]:
    """Yield the tensors whose last axis is the text that the UNet reads, with their shapes."""
    for name in file.names:
        split = split_role(name)
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
