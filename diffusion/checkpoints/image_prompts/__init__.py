"""Opening IP-Adapters and the image encoders that they read: their kinds, configs and names.

Law: all is checked from headers, before a tensor is read or uploaded.
"""

from diffusion.checkpoints.image_prompts.adapters import (
    SeparateIpAdapter,
    is_ip_adapter,
    open_ip_adapter,
)
from diffusion.checkpoints.image_prompts.encoders import (
    SeparateImageEncoder,
    find_image_encoder,
    open_image_encoder,
)

__all__ = [
    "SeparateImageEncoder",
    "SeparateIpAdapter",
    "find_image_encoder",
    "is_ip_adapter",
    "open_image_encoder",
    "open_ip_adapter",
]
