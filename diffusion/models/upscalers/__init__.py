"""Networks that enlarge pictures: ESRGAN and Real-ESRGAN, large and compact.

Law: as of `diffusion.models`; each maps (B, H, W, 3) in 0..1 to (B, s H, s W, 3).
"""

from diffusion.models.upscalers.compact import CompactUpscaler
from diffusion.models.upscalers.config import CompactConfig, RrdbConfig, UpscalerConfig
from diffusion.models.upscalers.rrdb import RrdbNet

__all__ = [
    "CompactConfig",
    "CompactUpscaler",
    "RrdbConfig",
    "RrdbNet",
    "UpscalerConfig",
    "upscaler_of",
]


def upscaler_of(config: UpscalerConfig) -> RrdbNet | CompactUpscaler:
    """Return the network that a config describes, without weights."""
    return RrdbNet(config) if isinstance(config, RrdbConfig) else CompactUpscaler(config)
