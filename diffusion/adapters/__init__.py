"""Adapters: small files that change a model's weights (LoRA and its family).

Law: a file is hostile until its names and shapes are compared with the model's. Differences are
computed in f32 on the device, and a weight without adapters has the bits of the model's file.
"""

from diffusion.adapters.adapter import Adapter, hash_of_file
from diffusion.adapters.adapter_file import AdaptedModel, open_adapter
from diffusion.adapters.choice import Lora, check_loras
from diffusion.adapters.folder import NO_LORAS, LoraFolder
from diffusion.adapters.merged_adapter import AdaptedPart, MergedAdapter
from diffusion.adapters.merging import Merger

__all__ = [
    "NO_LORAS",
    "AdaptedModel",
    "AdaptedPart",
    "Adapter",
    "Lora",
    "LoraFolder",
    "MergedAdapter",
    "Merger",
    "check_loras",
    "hash_of_file",
    "open_adapter",
]
