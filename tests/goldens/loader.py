"""Read the golden files in tests/data/goldens.

    from tests.goldens.loader import channels_last, load, parameters

    expected = load("unet")["two_levels-1x8x8-t0"]       # one array, channels first as in PyTorch
    expected = channels_last(expected)                   # (batch, height, width, channels)
    weights = parameters("two_levels", "unet")           # name -> f32 array, as diffusers saves it

Files: `text.npz`, `unet.npz`, `vae.npz`, `pipeline.npz` (keys: `cases.py`) and `models.json`. Keys
of `text.npz`: `model + "/ids"` (prompts, tokens) i32 and `model + "/states"` (prompts, tokens,
width), the encoder's `last_hidden_state`, for the prompts `cases.TEXT_PROMPTS`.
"""

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.goldens.weights import Array, weight

FOLDER = Path(__file__).resolve().parents[1] / "data" / "goldens"


@dataclass(frozen=True)
class SavedPart:
    """One network of a golden model, as diffusers or transformers 4 saves it."""

    config: Mapping[str, object]
    """The whole `config.json`."""
    shapes: Mapping[str, tuple[int, ...]]
    """Every parameter's shape, PyTorch's order of axes."""
    digest: str
    """SHA-256 of the weights that PyTorch computed with, see `weights.digest`."""


@functools.cache
def load(name: str) -> Mapping[str, NDArray[Any]]:
    """Return all arrays of a golden file such as "text" or "unet". Do not write to them."""
    with np.load(FOLDER / f"{name}.npz") as file:
        arrays = dict(file)
    for array in arrays.values():
        array.flags.writeable = False
    return arrays


@functools.cache
def _read_models() -> Mapping[str, Mapping[str, SavedPart]]:
    document = json.loads((FOLDER / "models.json").read_text(encoding="utf-8"))
    return {
        model: {part: _saved_part(entry) for part, entry in parts.items()}
        for model, parts in document.items()
    }


def _saved_part(entry: Mapping[str, Any]) -> SavedPart:
    shapes = {name: tuple(shape) for name, shape in entry["shapes"].items()}
    return SavedPart(entry["config"], shapes, entry["digest"])


def saved_part(model: str, part: str) -> SavedPart:
    """Return what is stored of one network: config, parameters' shapes, their digest."""
    return _read_models()[model][part]


def parameters(model: str, part: str) -> dict[str, Array]:
    """Return a network's weights by name: f32, representable in f16, PyTorch's order of axes."""
    shapes = saved_part(model, part).shapes
    return {name: weight(model, part, name, shape) for name, shape in shapes.items()}


def channels_last(array: NDArray[Any]) -> NDArray[Any]:
    """Return a batch (n, channels, height, width) as contiguous (n, height, width, channels)."""
    return np.ascontiguousarray(np.moveaxis(array, -3, -1))


def relative_error(actual: NDArray[Any], expected: NDArray[Any]) -> float:
    """Return ‖actual - expected‖ / ‖expected‖ over all elements, in f64."""
    reference = expected.astype(np.float64)
    return float(np.linalg.norm(actual - reference) / np.linalg.norm(reference))
