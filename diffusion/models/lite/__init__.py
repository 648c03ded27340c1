"""ControlNet-LLLite: small modules that change what single layers of a UNet read.

Law: as of `diffusion.models`; each image is computed by itself.
"""

from diffusion.models.lite.config import AttentionPlace, LiteConfig, LitePlace, attention_places
from diffusion.models.lite.inputs import (
    NO_CHANGES,
    InputChanges,
    change_input,
    has_changes,
    input_changes,
)
from diffusion.models.lite.network import ControlLite, LiteModule

__all__ = [
    "NO_CHANGES",
    "AttentionPlace",
    "ControlLite",
    "InputChanges",
    "LiteConfig",
    "LiteModule",
    "LitePlace",
    "attention_places",
    "change_input",
    "has_changes",
    "input_changes",
]
