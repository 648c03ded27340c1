"""Networks whose weights stay quantised on the device.

Law: the weights of linear layers and convolutions alone; what a layer computes with are the values
that the blocks stand for.
"""

from diffusion.models.quantized.quantizing import Quantizer, quantize_weight
from diffusion.models.quantized.selection import (
    WEIGHT_NAMES,
    WHOLE,
    block_format_of,
    select_format,
)

__all__ = [
    "WEIGHT_NAMES",
    "WHOLE",
    "Quantizer",
    "block_format_of",
    "quantize_weight",
    "select_format",
]
