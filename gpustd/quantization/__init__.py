"""Formats of quantised weights, as files store them: their blocks, and exact arithmetic in NumPy.

Law: host code alone, no GPU. The formats are those of ggml, and the 8-bit floats.
`dequantize` gives the bits of ggml's reference code. So does `quantize`, where that was compiled
without fused multiply-add.
"""

from gpustd.quantization.blocks import dequantize, quantize
from gpustd.quantization.formats import BLOCK_FORMATS, BlockFormat, block_format
from gpustd.quantization.tensor import QuantizedTensor

__all__ = [
    "BLOCK_FORMATS",
    "BlockFormat",
    "QuantizedTensor",
    "block_format",
    "dequantize",
    "quantize",
]
