"""A model folder of a few kilobytes: real configs, a few random tensors, no model behind it."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffusion.checkpoints import ModelFolder, save_safetensors

Json = dict[str, Any]
Tensors = dict[str, NDArray[Any]]

INDEX: Json = {
    "_class_name": "StableDiffusionPipeline",
    "_diffusers_version": "0.39.0",
    "feature_extractor": [None, None],
    "requires_safety_checker": False,
    "safety_checker": [None, None],
    "scheduler": ["diffusers", "PNDMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}
# As old versions wrote SD 1.5's: newer keys are not there.
UNET: Json = {
    "_class_name": "UNet2DConditionModel",
    "act_fn": "silu",
    "attention_head_dim": 8,
    "block_out_channels": [320, 640, 1280, 1280],
    "center_input_sample": False,
    "cross_attention_dim": 768,
    "down_block_types": [*["CrossAttnDownBlock2D"] * 3, "DownBlock2D"],
    "downsample_padding": 1,
    "flip_sin_to_cos": True,
    "freq_shift": 0,
    "in_channels": 4,
    "layers_per_block": 2,
    "mid_block_scale_factor": 1,
    "norm_eps": 1e-05,
    "norm_num_groups": 32,
    "out_channels": 4,
    "sample_size": 64,
    "up_block_types": ["UpBlock2D", *["CrossAttnUpBlock2D"] * 3],
}
VAE: Json = {
    "_class_name": "AutoencoderKL",
    "act_fn": "silu",
    "block_out_channels": [128, 256, 512, 512],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "in_channels": 3,
    "latent_channels": 4,
    "layers_per_block": 2,
    "norm_num_groups": 32,
    "out_channels": 3,
    "sample_size": 512,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
}
TEXT: Json = {
    "_name_or_path": "some/model",
    "architectures": ["CLIPTextModel"],
    "attention_dropout": 0.0,
    "bos_token_id": 0,
    "dropout": 0.0,
    "eos_token_id": 2,
    "hidden_act": "quick_gelu",
    "hidden_size": 768,
    "initializer_factor": 1.0,
    "initializer_range": 0.02,
    "intermediate_size": 3072,
    "layer_norm_eps": 1e-05,
    "max_position_embeddings": 77,
    "model_type": "clip_text_model",
    "num_attention_heads": 12,
    "num_hidden_layers": 12,
    "pad_token_id": 1,
    "projection_dim": 768,
    "torch_dtype": "float32",
    "transformers_version": "4.22.0.dev0",
    "vocab_size": 49408,
}
SCHEDULER: Json = {
    "_class_name": "PNDMScheduler",
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "clip_sample": False,
    "num_train_timesteps": 1000,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "trained_betas": None,
}
JSON_FILES: dict[str, Json] = {
    "model_index.json": INDEX,
    "scheduler/scheduler_config.json": SCHEDULER,
    "text_encoder/config.json": TEXT,
    "unet/config.json": UNET,
    "vae/config.json": VAE,
}
WEIGHT_FILES = {
    "text_encoder": "model.safetensors",
    "unet": "diffusion_pytorch_model.safetensors",
    "vae": "diffusion_pytorch_model.safetensors",
}


def random_tensors(*names: str) -> Tensors:
    """Return a tensor of four numbers for each name."""
    generator = np.random.default_rng(len(names))
    return {name: generator.normal(size=4).astype(np.float16) for name in names}


def write_json(file: Path, tree: object) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(tree), encoding="utf-8")


def write_folder(folder: Path) -> Path:
    """Write SD 1.5's configs, two tensors a part, and empty tokenizer files."""
    for name, tree in JSON_FILES.items():
        write_json(folder / name, copy.deepcopy(tree))
    for part, file in WEIGHT_FILES.items():
        save_safetensors(folder / part / file, random_tensors("a.weight", "a.bias"))
    (folder / "tokenizer").mkdir()
    (folder / "tokenizer" / "vocab.json").write_text("{}", encoding="utf-8")
    (folder / "tokenizer" / "merges.txt").touch()
    return folder


def edit_json(folder: Path, name: str, **changes: object) -> None:
    """Change keys of one of the folder's JSON files; `...` takes a key out."""
    file = folder / name
    tree = json.loads(file.read_text(encoding="utf-8")) | changes
    write_json(file, {key: value for key, value in tree.items() if value is not ...})


def load(folder: Path) -> None:
    """Open a model and the weights of its parts; read no tensor."""
    opened = ModelFolder(folder)
    for part in ("unet", "vae", "text_encoder"):
        opened.weights(part)
