"""Files of tensors: safetensors or GGUF, by the ends of their names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from diffusion.checkpoints.gguf import open_gguf
from diffusion.checkpoints.safetensors import SafetensorsFile, open_safetensors
from diffusion.checkpoints.safetensors.element_types import STORED, WEIGHTS
from diffusion.errors import NAME_LENGTH, ModelFormatError, list_items, quote

__all__ = ["GGUF_END", "MODEL_ENDS", "open_tensors", "require_readable"]

GGUF_END: Final = ".gguf"
MODEL_ENDS: Final = (".safetensors", GGUF_END)
"""The ends of the names of files that may hold a whole model."""


def open_tensors(path: str | os.PathLike[str]) -> SafetensorsFile:
    """Open a file of either kind; no tensor is read yet.

    Raises ``ModelNotFoundError`` or ``ModelFormatError``.
    """
    is_gguf = Path(path).suffix.lower() == GGUF_END
    return open_gguf(path) if is_gguf else open_safetensors(path)


def require_readable(file: SafetensorsFile) -> SafetensorsFile:
    """Return the file; raise ``ModelFormatError`` for types of GGUF that are not read here."""
    known = STORED.keys() | WEIGHTS
    unknown = [
        f"{quote(name, NAME_LENGTH)} ({entry.dtype})"
        for name, entry in file.entries.items()
        if entry.dtype not in known
    ]
    if unknown:
        reason = list_items("must be of types that are read here, got", unknown)
        hint = "get the model in another type, such as Q4_K or F16"
        raise ModelFormatError(file.path, "tensors", reason, hint)
    return file
