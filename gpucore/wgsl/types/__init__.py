"""The typed pass over the syntax tree: what printers for other languages must know.

Law: it reads the tree and changes nothing; `infer_types` returns `Facts` beside it.
"""

from gpucore.wgsl.types.errors import OverloadError, WgslTypeError
from gpucore.wgsl.types.facts import Facts, Symbol
from gpucore.wgsl.types.inference import infer_types

__all__ = ["Facts", "OverloadError", "Symbol", "WgslTypeError", "infer_types"]
