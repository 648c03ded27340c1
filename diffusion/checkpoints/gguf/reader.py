"""Reading GGUF files, which are taken for hostile until checked.

Opening a file reads and checks its header. The tensors are then read as those of a safetensors file
are: one at a time, from a file that must not have changed.
"""

from __future__ import annotations

import os
from io import BufferedReader
from pathlib import Path
from typing import Final

from diffusion.checkpoints.file_errors import reading
from diffusion.checkpoints.file_kinds import (
    DOWNLOAD_AGAIN,
    GGUF,
    PROBE_BYTES,
    recognise_file,
)
from diffusion.checkpoints.gguf.cursor import Cursor
from diffusion.checkpoints.gguf.header import parse_header
from diffusion.checkpoints.safetensors import SafetensorsFile
from diffusion.checkpoints.safetensors.reader import HEADER_LIMIT
from diffusion.checkpoints.safetensors.regular_file import identity_of, open_regular
from diffusion.errors import ModelFormatError

__all__ = ["MAGIC", "open_gguf"]

MAGIC: Final = b"GGUF"


def open_gguf(path: str | os.PathLike[str]) -> SafetensorsFile:
    """Open a file and check its whole header before anything is sized from it.

    A header of more than `HEADER_LIMIT` bytes is refused. Types of quantised tensors have ggml's
    names in upper case. Raises ``ModelNotFoundError`` or ``ModelFormatError``.
    """
    path = Path(path)
    with reading(path), open_regular(path) as raw:
        status = os.fstat(raw.fileno())
        start = raw.read(PROBE_BYTES)
        if not start.startswith(MAGIC):
            _refuse(path, start)
        raw.seek(len(MAGIC))
        with BufferedReader(raw) as file:
            cursor = Cursor(file, path, min(status.st_size, HEADER_LIMIT))
            header = parse_header(cursor, status.st_size)
    return SafetensorsFile(path, header, identity_of(status))


def _refuse(path: Path, start: bytes) -> None:
    """Raise ``ModelFormatError`` for a file that does not begin as GGUF files do."""
    kind = recognise_file(start)
    if kind not in (None, GGUF):
        raise ModelFormatError(path, "file", *kind)
    reason = f"must begin with 'GGUF', got {start[:4]!r}" if start else "is empty"
    raise ModelFormatError(path, "file", reason, DOWNLOAD_AGAIN)
