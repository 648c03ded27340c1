"""Opening ControlNets and T2I-Adapters for a model: their kind, config, names and family.

Law: all is checked from headers, before a tensor is read or uploaded.
"""

from diffusion.checkpoints.control.opening import SeparateControl, open_control

__all__ = ["SeparateControl", "open_control"]
