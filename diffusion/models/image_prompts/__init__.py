"""Networks of image prompts: CLIP's image encoder, and the IP-Adapters that read what it makes.

Law: as in `diffusion.models`. Nothing here knows a sampler, a pipeline or a file.
"""

from diffusion.models.image_prompts.adapter import IpAdapter
from diffusion.models.image_prompts.config import (
    ClipVisionConfig,
    IpAdapterConfig,
    ResamplerConfig,
)
from diffusion.models.image_prompts.places import CrossPlace, cross_places
from diffusion.models.image_prompts.vision import ClipVisionModel, cut_patches

__all__ = [
    "ClipVisionConfig",
    "ClipVisionModel",
    "CrossPlace",
    "IpAdapter",
    "IpAdapterConfig",
    "ResamplerConfig",
    "cross_places",
    "cut_patches",
]
