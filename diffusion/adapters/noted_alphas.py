"""Alphas that diffusers writes into a file's metadata (``lora_adapter_metadata``), by module.

They count where the file has no tensor for alpha. The rank is that of the tensors. PEFT finds
exceptions by regular expressions; those here must be names, as diffusers writes them.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from diffusion.checkpoints.safetensors import SafetensorsFile
from diffusion.errors import ModelFormatError

__all__ = ["NotedAlpha", "NotedAlphas", "read_noted_alphas"]

_KEY: Final = "lora_adapter_metadata"
_PARTS: Final = ("unet", "text_encoder", "text_encoder_2")
_MOST_METADATA: Final = 1 << 20
_NAME: Final = re.compile(r"\^?([\w.]+)")


class NotedAlpha(NamedTuple):
    """An alpha; ``rooted``: it is divided by the rank's root (rsLoRA, arXiv 2312.03732)."""

    value: float
    rooted: bool

    def scale(self, rank: int) -> float:
        """Return what a difference of a rank is multiplied by."""
        return self.value / (math.sqrt(rank) if self.rooted else rank)


class NotedAlphas(NamedTuple):
    """The alphas of one part of a model: of all its modules, and of those in ``others``."""

    usual: NotedAlpha
    others: Mapping[str, NotedAlpha]

    def find(self, module: str) -> NotedAlpha:
        """Return the alpha of a module, by its name or the end of it after a dot."""
        end = module
        while end:
            if end in self.others:
                return self.others[end]
            end = end.partition(".")[2]
        return self.usual


def read_noted_alphas(file: SafetensorsFile) -> dict[str, NotedAlphas]:
    """Return the alphas in a file's metadata, by part. Raises `ModelFormatError`."""
    text = file.metadata.get(_KEY, "")
    if not text or len(text) > _MOST_METADATA:
        return {}
    try:
        found: Any = json.loads(text)
        # A UNet that is saved alone writes its keys without the part.
        parts = [(part, f"{part}.") for part in _PARTS] + [("unet", "")]
        return {
            part: _read_part(found, prefix)
            for part, prefix in parts
            if found.get(f"{prefix}lora_alpha") is not None
        }
    except (ValueError, TypeError, AttributeError, RecursionError, OverflowError):
        reason = "must be JSON with finite numbers for lora_alpha, and names in alpha_pattern"
        raise ModelFormatError(file.path, _KEY, reason, "make the file again") from None


def _read_part(found: Mapping[str, Any], prefix: str) -> NotedAlphas:
    """Return the alphas of a part, whose keys begin with ``prefix``."""
    rooted = bool(found.get(f"{prefix}use_rslora", False))
    others = found.get(f"{prefix}alpha_pattern") or {}
    return NotedAlphas(
        _alpha(found[f"{prefix}lora_alpha"], rooted=rooted),
        {_name(key): _alpha(value, rooted=rooted) for key, value in others.items()},
    )


def _alpha(value: Any, *, rooted: bool) -> NotedAlpha:
    """Return an alpha. Raises ``ValueError`` for one that is not finite."""
    number = float(value)
    if not math.isfinite(number):
        raise ValueError
    return NotedAlpha(number, rooted)


def _name(key: str) -> str:
    """Return the name in a pattern. Raises ``ValueError`` for another regular expression."""
    found = _NAME.fullmatch(key)
    if found is None:
        raise ValueError
    return found[1]
