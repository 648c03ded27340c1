"""The kinds of adapters: what each computes from a module's tensors and its weight.

Law: a kind checks shapes from the file's header alone, before a tensor is read. Its difference is
in f32 on the device: (rows, columns), as the weight is given.
"""

from diffusion.adapters.kinds.kind import Kind
from diffusion.adapters.kinds.registry import KINDS, find_kind

__all__ = ["KINDS", "Kind", "find_kind"]
