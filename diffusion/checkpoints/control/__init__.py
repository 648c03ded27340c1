"""Opening ControlNets and T2I-Adapters for a model: their kind, config, names and family.

Law: all is checked from headers, before a tensor is read or uploaded.
"""

from diffusion.checkpoints.control.opening import (
    SeparateControl,
    find_file,
    open_control,
    short_hash,
)

__all__ = ["SeparateControl", "find_file", "open_control", "short_hash"]
