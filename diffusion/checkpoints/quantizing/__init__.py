"""Writing models whose weights take fewer bits: GGUF, and 8-bit floats in safetensors.

Law: which tensors are quantised follows from their names and shapes alone, by rules that the
documentation lists. A file is read again before it takes its place.
"""

from diffusion.checkpoints.quantizing.rules import WEIGHT_NAMES, Rules, TypeRule
from diffusion.checkpoints.quantizing.saving import save_quantized

__all__ = ["WEIGHT_NAMES", "Rules", "TypeRule", "save_quantized"]
