"""The golden models as PyTorch networks, in float64, float32 or float16."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import diffusers.models.embeddings
import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
from safetensors import safe_open
from transformers import CLIPTextConfig, CLIPTextModel

from tests.goldens.configs import MODELS, PARTS
from tests.goldens.folders import WEIGHT_FILES, write_model
from tests.goldens.weights import digest, weight


def describe() -> dict[str, dict[str, dict[str, Any]]]:
    """Return the text of models.json: each network's saved config, shapes and weights' digest."""
    return {model: {part: _describe_part(model, part) for part in PARTS} for model in MODELS}


def _describe_part(model: str, part: str) -> dict[str, Any]:
    """Save the network as its library does, then read back what it wrote."""
    network = _network(model, part)
    state = network.state_dict()
    drawn = {name: weight(model, part, name, tuple(t.shape)) for name, t in state.items()}
    network.load_state_dict({name: torch.from_numpy(array) for name, array in drawn.items()})
    with tempfile.TemporaryDirectory() as folder:
        network.save_pretrained(folder)
        config = json.loads((Path(folder) / "config.json").read_text())
        with safe_open(Path(folder) / WEIGHT_FILES[part], framework="np") as file:
            saved = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    shapes = {name: list(array.shape) for name, array in sorted(saved.items())}
    return {"config": config, "digest": digest(saved), "shapes": shapes}


def _network(model: str, part: str) -> Any:
    config = dict(MODELS[model].part(part))
    if part == "text_encoder":
        return CLIPTextModel(CLIPTextConfig(**config))
    return (UNet2DConditionModel if part == "unet" else AutoencoderKL)(**config)


def pipeline(model: str, dtype: torch.dtype) -> Any:
    """Load the golden model in diffusers from the folder that the tests write."""
    with tempfile.TemporaryDirectory() as folder:
        write_model(Path(folder), model)
        loaded = StableDiffusionPipeline.from_pretrained(
            folder, local_files_only=True, torch_dtype=dtype
        )
    loaded.set_progress_bar_config(disable=True)
    return loaded


def _exact_embedding(
    timesteps: torch.Tensor,
    embedding_dim: int,
    flip_sin_to_cos: bool,
    downscale_freq_shift: float,
    scale: float,
) -> torch.Tensor:
    """Compute diffusers' sinusoidal time-step embedding in float64 throughout."""
    half = embedding_dim // 2
    exponent = torch.arange(half, dtype=torch.float64) / (half - downscale_freq_shift)
    angles = scale * timesteps.double()[:, None] * 10_000.0 ** -exponent[None]
    parts = [torch.sin(angles), torch.cos(angles)]
    return torch.cat(parts[::-1] if flip_sin_to_cos else parts, dim=-1)


@contextmanager
def exact() -> Iterator[None]:
    """Make float64 networks compute in float64 throughout, inside the context.

    diffusers' time-step embeddings are f32 whatever the network is, and transformers builds its
    causal mask in PyTorch's default dtype.
    """
    module = diffusers.models.embeddings
    original = module.get_timestep_embedding
    module.get_timestep_embedding = _exact_embedding
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)
        module.get_timestep_embedding = original
