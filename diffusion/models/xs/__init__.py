"""ControlNet-XS: a thin encoder in step with a UNet, each reading the other's features.

Law: as of `diffusion.models`.
"""

from diffusion.models.xs.config import XsConfig
from diffusion.models.xs.network import ControlXs
from diffusion.models.xs.run import XsRun

__all__ = ["ControlXs", "XsConfig", "XsRun"]
