"""Files of learned words in each layout, for the golden models."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from tests.goldens.inversion_cases import word_vectors

__all__ = ["LAYOUTS", "WIDTHS", "write_word"]

WIDTHS: Final = {"sd2": (40,), "xl_base": (24, 40)}
LAYOUTS: Final = {
    "kohya": "emb_params",
    "webui": "string_to_param.*",
    "diffusers": "<word>",
    "pair": "clip_l",
}
"""The first tensor's name in each layout."""


def write_word(path: Path, model: str, word: str, layout: str = "") -> Path:
    """Write a word for a golden model; in the layout of its family if none is named."""
    vectors = [word_vectors(word, width) for width in WIDTHS[model]]
    path.parent.mkdir(parents=True, exist_ok=True)
    if len(vectors) == 2:
        save_file(dict(zip(("clip_l", "clip_g"), vectors, strict=True)), path)
        return path
    tensors: dict[str, NDArray[np.generic]] = {LAYOUTS[layout or "kohya"]: vectors[0]}
    if layout == "webui":
        tensors["string_to_token.*"] = np.array(265)
    if layout == "diffusers":
        tensors = {word: vectors[0][0] if len(vectors[0]) == 1 else vectors[0]}
    save_file(tensors, path)
    return path
