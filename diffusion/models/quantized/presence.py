"""Whether a network has weights that are quantised."""

from __future__ import annotations

from diffusion.models.module import Module
from diffusion.models.updated_layers import layers_of

__all__ = ["has_quantized_weights"]


def has_quantized_weights(network: Module) -> bool:
    """Tell whether a loaded network's linear layers or convolutions hold quantised weights."""
    return any(each.is_quantized for each in layers_of(network))
