"""Folders of adapters for servers of tests, and pictures as requests carry them."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.numpy import save_file

from tests.diffusion.control.golden_controls import write_control

__all__ = ["encode", "picture", "write_controls", "write_word"]


def picture(width: int = 64, height: int = 48, seed: int = 3) -> Image.Image:
    """Return a picture of noise."""
    levels = np.random.default_rng(seed).integers(0, 256, (height, width, 3))
    return Image.fromarray(levels.astype(np.uint8))


def encode(image: Image.Image) -> str:
    """Return a picture as base64 of a PNG."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def write_controls(folder: Path) -> Path:
    """Write two control networks for the golden model sd2, one of them in a folder; return it."""
    write_control(folder / "canny", "sd2")
    write_control(folder / "deep" / "pose", "full")
    return folder


def write_word(folder: Path, word: str, width: int, vectors: int = 2) -> Path:
    """Write a textual inversion; return its file."""
    folder.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(len(word)).standard_normal((vectors, width)) * 0.1
    save_file({"emb_params": values.astype(np.float32)}, folder / f"{word}.safetensors")
    return folder / f"{word}.safetensors"
