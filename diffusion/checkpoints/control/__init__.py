"""Opening control networks for a model: their kind, config, names and family.

Law: all is checked from headers, before a tensor is read or uploaded.
"""

from diffusion.checkpoints.control.opening import (
    ControlConfig,
    SeparateControl,
    find_file,
    open_control,
    short_hash,
)

__all__ = ["ControlConfig", "SeparateControl", "find_file", "open_control", "short_hash"]
