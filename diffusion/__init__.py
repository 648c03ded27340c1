"""Stable Diffusion on WGSL compute shaders.

Law: no WGSL and no GPU API, only gpustd operations and NumPy.
"""

from diffusion.errors import DiffusionError
from diffusion.pipeline import Pipeline, Result, Stage, Step
from diffusion.settings import Settings

__all__ = ["DiffusionError", "Pipeline", "Result", "Settings", "Stage", "Step"]
