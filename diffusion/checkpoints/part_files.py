"""The files of one part of a model folder: weights under one of several names, and a tokenizer.

Only names listed here are looked up: no path comes from a file's content.
"""

from pathlib import Path
from typing import Final

from diffusion.checkpoints.file_kinds import CONVERT, DOWNLOAD_AGAIN
from diffusion.errors import ModelFormatError, ModelNotFoundError, quote

DEFAULT_VARIANTS: Final = ("", "fp16")
"""Variants of weights in the order of preference; the empty one has plain file names."""

INCOMPLETE: Final = "the folder is incomplete; download the whole model again"

_PICKLE_PATTERNS: Final = ("*.bin", "*.ckpt", "*.pt", "*.pth")
_TOKENIZER_FILES: Final = ("vocab.json", "merges.txt")
TOKENIZER_LIMIT: Final = 4 * 2**20


def find_weights(folder: Path, stem: str, variants: tuple[str, ...] = DEFAULT_VARIANTS) -> Path:
    """Return the weights' file in a part's folder, or the index of several files.

    The first of ``variants`` that is there is taken. Raises ``ModelNotFoundError``, or
    ``ModelFormatError`` where only a pickle is there.
    """
    if not folder.is_dir():
        raise ModelNotFoundError(folder, "the folder is missing", INCOMPLETE)
    for variant in variants:
        dotted = f".{variant}" if variant else ""
        for name in (
            f"{stem}{dotted}.safetensors",
            f"{stem}.safetensors.index{dotted}.json",
            f"{stem}{dotted}.safetensors.index.json",
        ):
            if (folder / name).exists():
                return folder / name
    for pattern in _PICKLE_PATTERNS:
        for file in sorted(folder.glob(pattern)):
            reason = (
                "must be safetensors, got a Python pickle; it can run code, so it was not opened"
            )
            raise ModelFormatError(file, "file", reason, CONVERT)
    expected = f"{stem}{'.' + variants[0] if variants[0] else ''}.safetensors"
    others = sorted(file.name for file in folder.glob("*.safetensors"))
    hint = f"the folder has {quote(others[0])}" if others else INCOMPLETE
    raise ModelNotFoundError(folder / expected, "the weights are missing", hint)


def check_tokenizer(folder: Path) -> Path:
    """Return the tokenizer's folder; its two files must be there and of a bounded size.

    Raises ``ModelNotFoundError`` or ``ModelFormatError``.
    """
    for name in _TOKENIZER_FILES:
        file = folder / name
        if not file.is_file():
            raise ModelNotFoundError(file, "there is no such file", INCOMPLETE)
        size = file.stat().st_size
        if size > TOKENIZER_LIMIT:
            reason = f"must be at most {TOKENIZER_LIMIT} bytes, got {size}"
            raise ModelFormatError(file, "file", reason, DOWNLOAD_AGAIN)
    return folder
