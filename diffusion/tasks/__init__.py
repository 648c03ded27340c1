"""Tasks beside text to image: init images, masks, hires fix, variations, tiles, seamless pictures.

Law: tasks know neither pipelines nor the command line. Their work on pictures runs on the host,
before the first step or after the last; their work on latents runs on the device.
"""

from diffusion.tasks.guidance import (
    FreeU,
    GuidanceOptions,
    SelfAttentionGuidance,
    Thresholding,
)
from diffusion.tasks.hires import PIXEL_UPSCALERS, UPSCALERS, Hires, is_network_upscaler
from diffusion.tasks.init_image import InitImage
from diffusion.tasks.inpaint import AREAS, CONTENTS, Inpaint
from diffusion.tasks.outpaint import extend_image
from diffusion.tasks.resizing import RESIZE_MODES
from diffusion.tasks.sampling_settings import SamplingSettings
from diffusion.tasks.seamless import check_seamless
from diffusion.tasks.shortcuts import DeepCache, HyperTile, TokenMerging
from diffusion.tasks.speed_presets import SPEED_PRESETS, SpeedPreset
from diffusion.tasks.tiling import TILINGS
from diffusion.tasks.variation import Variation

__all__ = [
    "AREAS",
    "CONTENTS",
    "PIXEL_UPSCALERS",
    "RESIZE_MODES",
    "SPEED_PRESETS",
    "TILINGS",
    "UPSCALERS",
    "DeepCache",
    "FreeU",
    "GuidanceOptions",
    "Hires",
    "HyperTile",
    "InitImage",
    "Inpaint",
    "SamplingSettings",
    "SelfAttentionGuidance",
    "SpeedPreset",
    "Thresholding",
    "TokenMerging",
    "Variation",
    "check_seamless",
    "extend_image",
    "is_network_upscaler",
]
