"""Files of the golden upscalers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from diffusion.checkpoints.safetensors import save_safetensors
from tests.goldens.loader import load
from tests.goldens.upscaler_cases import COMPACTS, RRDBS, CompactCase, RrdbCase, upscaler_weight
from tests.goldens.weights import Array

__all__ = ["CASES", "golden_picture", "tensors_of", "write_upscaler"]

CASES: dict[str, RrdbCase | CompactCase] = {case.name: case for case in (*RRDBS, *COMPACTS)}


def tensors_of(name: str) -> dict[str, Array]:
    """Return the tensors of a case's file under its own names."""
    case = CASES[name]
    shapes = json.loads(str(load("upscalers")[f"{name}/shapes"]))
    wrapper = case.wrapper if isinstance(case, RrdbCase) else ""
    return {
        wrapper + key: upscaler_weight(name, key, tuple(shape)) for key, shape in shapes.items()
    }


def write_upscaler(folder: Path, name: str, stem: str | None = None) -> Path:
    """Write a case's file into a folder; return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    case, path = CASES[name], folder / f"{stem or name}.safetensors"
    notes = dict(case.notes) if isinstance(case, CompactCase) else {}
    save_safetensors(path, tensors_of(name), notes)
    return path


def golden_picture(name: str) -> Array:
    """Return the pictures (2, H, W, 3) that the reference makes of a case's."""
    found: Array = np.moveaxis(load("upscalers")[f"{name}/out"], 1, -1)
    return found
