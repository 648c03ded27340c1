"""Weights that stay quantised on the device, as right operands of matrix products.

Law: a product with them has the bits of the product with their values in the other operand's dtype.
Values are computed in f32 as in `gpustd.quantization`, then rounded once by the device, to the
nearest f16 in f16. They are computed where the product loads them, or all at once into scratch
memory before it, whichever is quicker.
"""

from gpustd.matmul.quantized.weight import QuantizedPart, QuantizedWeight

__all__ = ["QuantizedPart", "QuantizedWeight"]
