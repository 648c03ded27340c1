"""The GGUF format: a strict reader of versions 2 and 3, and a writer of version 3.

Law: nothing is allocated from a number in a file before it was checked against the file's true
size. Names are kept as they are: what they mean is for the callers.

Source of the format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.
"""

from diffusion.checkpoints.gguf.reader import open_gguf
from diffusion.checkpoints.gguf.writer import write_gguf

__all__ = ["open_gguf", "write_gguf"]
