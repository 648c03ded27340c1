"""Writing a full-size model folder with random weights, by NumPy alone: for tests of memory."""

from __future__ import annotations

import functools
import json
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from diffusion.checkpoints.safetensors import write_safetensors
from diffusion.models.clip import ClipTextModel, ProjectedClipTextModel
from diffusion.models.config import ClipTextConfig, VaeConfig
from diffusion.models.module import Module
from diffusion.models.unet import UNet
from diffusion.models.unet_config import UNetConfig
from diffusion.models.vae import Vae
from tools.full_size.models import BLOCKS, LIBRARIES, Model

__all__ = ["draw_weight", "write_random_folder"]

EMOJI: Final = Path(__file__).resolve().parents[2] / "models" / "emoji"
_PERIOD: Final = 1_000_003
"""Numbers that are drawn once; a prime, so that no two rows of a weight are equal."""


def write_random_folder(folder: Path, model: Model, *, sparse: bool = False) -> None:
    """Write a model in the diffusers layout, its weights in f16 as published ones are.

    Tokenizer and scheduler are the bundled model's. ``sparse``: the files' data are holes, which
    take no room on the disk, so that all weights are zero: for plans, which read no weight.
    """
    for part, config in model.parts.items():
        tree = {**(BLOCKS if part == "unet" else {}), **config}
        (folder / part).mkdir(parents=True)
        (folder / part / "config.json").write_text(json.dumps(tree, indent=2) + "\n")
        network = _network(part, tree, folder)
        shapes = {name: ("F16", each.shape) for name, each in network.parameters()}
        stem = "model" if "text" in part else "diffusion_pytorch_model"
        if sparse:
            _write_holes(folder / part / f"{stem}.safetensors", shapes)
            continue
        read = functools.partial(draw_weight, {name: shape for name, (_, shape) in shapes.items()})
        write_safetensors(folder / part / f"{stem}.safetensors", shapes, read, {"format": "pt"})
    write_surroundings(folder, model)


def _write_holes(path: Path, tensors: Mapping[str, tuple[str, tuple[int, ...]]]) -> None:
    """Write the header of a safetensors file of f16, and leave holes in the place of data."""
    header, end = dict[str, object](), 0
    for name, (dtype, shape) in tensors.items():
        start, end = end, end + 2 * math.prod(shape)
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)


def write_surroundings(folder: Path, model: Model) -> None:
    """Write all but the networks: tokenizers, scheduler, ``model_index.json``."""
    tokenizers = [
        part.replace("text_encoder", "tokenizer") for part in model.parts if "text" in part
    ]
    for name in tokenizers:
        shutil.copytree(EMOJI / "tokenizer", folder / name, dirs_exist_ok=True)
    shutil.copytree(EMOJI / "scheduler", folder / "scheduler", dirs_exist_ok=True)
    index: dict[str, Any] = {"_class_name": model.pipeline}
    index |= {part: LIBRARIES[part] for part in (*model.parts, *tokenizers, "scheduler")}
    if "text_encoder" not in model.parts:
        index |= {"text_encoder": [None, None], "tokenizer": [None, None]}
        index["requires_aesthetics_score"] = True
    (folder / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")


def _network(part: str, config: Mapping[str, Any], folder: Path) -> Module:
    """Return a part's network, without weights."""
    file = folder / part / "config.json"
    if part == "unet":
        return UNet(UNetConfig.from_json(config, file))
    if part == "vae":
        return Vae(VaeConfig.from_json(config, file))
    owner = ProjectedClipTextModel if part == "text_encoder_2" else ClipTextModel
    return owner(ClipTextConfig.from_json(config, file))


@functools.cache
def _numbers() -> NDArray[np.float32]:
    """Return the numbers that all weights are made of, of deviation 1, twice."""
    return np.tile(np.random.default_rng(1).standard_normal(_PERIOD, np.float32), 2)


def draw_weight(shapes: Mapping[str, tuple[int, ...]], name: str) -> NDArray[np.float16]:
    """Return a weight: deviation 1/sqrt(fan in), norms 1 +- 0.2, biases 0 +- 0.1."""
    shape = shapes[name]
    count = math.prod(shape)
    start = sum(name.encode()) * 7919 % _PERIOD
    drawn = _numbers()[start : start + min(count, _PERIOD)]
    noise = np.resize(drawn, count).reshape(shape)
    if len(shape) == 1:
        values = 0.1 * noise if name.endswith("bias") else 1 + 0.2 * noise
    elif "embeddings" in name:
        values = 0.1 * noise
    else:
        values = noise / math.sqrt(count / shape[0])
    return values.astype(np.float16)
