"""Control networks in a run: loaded, given their pictures, and captured with the UNet.

Law: what a run's controls are stands in `ControlUnit`s of its passes; what a captured denoiser does
with them, in a `ControlGraph`.
"""

from diffusion.pipeline.control.graph import Active, ControlGraph
from diffusion.pipeline.control.loaded import LoadedControls, file_key
from diffusion.pipeline.control.unit import (
    ControlledModel,
    ControlNetwork,
    ControlUnit,
    crop_control,
    crop_picture,
    make_network,
    require_whole_tokens,
    units_of,
)

__all__ = [
    "Active",
    "ControlGraph",
    "ControlNetwork",
    "ControlUnit",
    "ControlledModel",
    "LoadedControls",
    "crop_control",
    "crop_picture",
    "file_key",
    "make_network",
    "require_whole_tokens",
    "units_of",
]
