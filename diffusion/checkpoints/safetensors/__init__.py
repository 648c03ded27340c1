"""The safetensors format: a strict reader, and a writer of what it reads.

Law: nothing is allocated from a number in a file before it was checked against the file's true
size.

The reader is our own. The reference package gives NumPy neither bfloat16 nor 8-bit floats, accepts
more than is safe here, and maps files into memory, where this reader streams one tensor at a time.
"""

from diffusion.checkpoints.safetensors.entries import Header, TensorEntry
from diffusion.checkpoints.safetensors.reader import (
    HEADER_LIMIT,
    SafetensorsFile,
    open_safetensors,
)
from diffusion.checkpoints.safetensors.writer import (
    WriteObserver,
    save_safetensors,
    write_safetensors,
)

__all__ = [
    "HEADER_LIMIT",
    "Header",
    "SafetensorsFile",
    "TensorEntry",
    "WriteObserver",
    "open_safetensors",
    "save_safetensors",
    "write_safetensors",
]
