"""Enlarging pictures by networks: finding them by name, loading them, and computing in tiles.

Law: knows nothing of a pipeline. A picture is computed by itself, so that its bits do not depend on
what else is enlarged.
"""

from diffusion.upscaling.enlarging import enlarge_image, split_alpha
from diffusion.upscaling.folder import NO_UPSCALERS, UpscalerFolder
from diffusion.upscaling.loaded import LoadedUpscalers
from diffusion.upscaling.network import UpscalerNetwork

__all__ = [
    "NO_UPSCALERS",
    "LoadedUpscalers",
    "UpscalerFolder",
    "UpscalerNetwork",
    "enlarge_image",
    "split_alpha",
]
