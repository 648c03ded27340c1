"""Image prompts in a run: adapters and encoders loaded, pictures encoded, captured with the UNet.

Law: what a run's image prompts are stands in `ImagePromptUnit`s of its passes; what a captured
denoiser does with them, in an `ImagePromptGraph`.
"""

from diffusion.pipeline.image_prompts.adapter import LoadedAdapter
from diffusion.pipeline.image_prompts.graph import ImagePromptGraph, PromptRows
from diffusion.pipeline.image_prompts.loaded import LoadedImagePrompts
from diffusion.pipeline.image_prompts.unit import (
    NO_LEADING,
    ImagePromptUnit,
    LeadingUnits,
    prompt_units_of,
)

__all__ = [
    "NO_LEADING",
    "ImagePromptGraph",
    "ImagePromptUnit",
    "LeadingUnits",
    "LoadedAdapter",
    "LoadedImagePrompts",
    "PromptRows",
    "prompt_units_of",
]
