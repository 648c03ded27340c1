"""Stable Diffusion on WGSL compute shaders.

Law: no WGSL and no GPU API, only gpustd operations and NumPy.
"""

from diffusion.conditioning import Conditioning, Sizes
from diffusion.errors import DiffusionError
from diffusion.pipeline import Pipeline, Result, Stage, Step
from diffusion.refining import refine
from diffusion.settings import Settings

__all__ = [
    "Conditioning",
    "DiffusionError",
    "Pipeline",
    "Result",
    "Settings",
    "Sizes",
    "Stage",
    "Step",
    "refine",
]
