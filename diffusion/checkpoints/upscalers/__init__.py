"""Opening upscalers: their kind, their sizes, and the spellings of their names.

Law: all is checked from the header, before a tensor is read or uploaded.
"""

from diffusion.checkpoints.upscalers.opening import OpenedUpscaler, open_upscaler

__all__ = ["OpenedUpscaler", "open_upscaler"]
