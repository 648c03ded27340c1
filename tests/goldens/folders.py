"""Write a golden model as a folder in the diffusers layout.

    from tests.goldens.folders import write_model

    def test_loads(tmp_path: Path) -> None:
        write_model(tmp_path / "model", "two_levels", dtype=np.float16)
        pipeline = Pipeline.load(tmp_path / "model")

The folder holds what diffusers saves, under the names that diffusers 0.39 and transformers 4
give: configs, weights as safetensors, tokenizer, scheduler. `layout` picks another age's habits:

- "current": as said.
- "old": what the published Stable Diffusion 1.5 files hold: the VAE's attention under `query`,
  `key`, `value`, `proj_attn`, and the text encoder's `position_ids` (int64) beside its weights;
  UNet and VAE configs without the entries that came later.
- "flat": transformers 5, which leaves `text_model.` out of the text encoder's names.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from tests.goldens.configs import MODELS, PARTS, SCHEDULER
from tests.goldens.loader import parameters, saved_part
from tests.goldens.vocabulary import write_tokenizer

Layout: TypeAlias = Literal["current", "old", "flat"]
Float: TypeAlias = type[np.float16] | type[np.float32]
Tensors: TypeAlias = dict[str, NDArray[Any]]

WEIGHT_FILES: Mapping[str, str] = {
    "text_encoder": "model.safetensors",
    "unet": "diffusion_pytorch_model.safetensors",
    "vae": "diffusion_pytorch_model.safetensors",
}
"""Each network's weight file, inside its folder."""

_MODEL_INDEX = {
    "_class_name": "StableDiffusionPipeline",
    "_diffusers_version": "0.39.0",
    "feature_extractor": [None, None],
    "image_encoder": [None, None],
    "requires_safety_checker": False,
    "safety_checker": [None, None],
    "scheduler": ["diffusers", "PNDMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}
_TEXT_PREFIX = "text_model."
_OLD_ATTENTION = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
# The entries of Stable Diffusion 1.5's own unet/config.json and vae/config.json.
_OLD_ENTRIES = frozenset(
    "_class_name _diffusers_version act_fn attention_head_dim block_out_channels "
    "center_input_sample cross_attention_dim down_block_types downsample_padding "
    "flip_sin_to_cos freq_shift in_channels latent_channels layers_per_block "
    "mid_block_scale_factor norm_eps norm_num_groups out_channels sample_size "
    "up_block_types".split()
)


def write_model(
    folder: Path, model: str, *, dtype: Float = np.float32, layout: Layout = "current"
) -> None:
    """Write the golden model `model` (a key of `configs.MODELS`) into `folder`."""
    _write_json(folder / "model_index.json", _MODEL_INDEX)
    _write_json(folder / "scheduler" / "scheduler_config.json", dict(SCHEDULER))
    write_tokenizer(folder / "tokenizer", max_length=MODELS[model].max_length)
    for part in PARTS:
        _write_json(folder / part / "config.json", config(model, part, layout=layout))
        weights = tensors(model, part, dtype=dtype, layout=layout)
        save_file(weights, folder / part / WEIGHT_FILES[part], metadata={"format": "pt"})


def config(model: str, part: str, *, layout: Layout = "current") -> dict[str, object]:
    """Return the `config.json` of one network."""
    whole = saved_part(model, part).config
    if layout == "old" and part != "text_encoder":
        kept = _OLD_ENTRIES | MODELS[model].part(part).keys()
        return {key: value for key, value in whole.items() if key in kept}
    return dict(whole)


def tensors(
    model: str, part: str, *, dtype: Float = np.float32, layout: Layout = "current"
) -> Tensors:
    """Return the tensors of one network under the names of `layout`."""
    arrays: Tensors = {name: a.astype(dtype) for name, a in parameters(model, part).items()}
    if layout == "old" and part == "vae":
        return {_old_vae_name(name): array for name, array in arrays.items()}
    if layout == "old" and part == "text_encoder":
        positions = np.arange(MODELS[model].max_length, dtype=np.int64)[None]
        return {**arrays, f"{_TEXT_PREFIX}embeddings.position_ids": positions}
    if layout == "flat" and part == "text_encoder":
        return {name.removeprefix(_TEXT_PREFIX): array for name, array in arrays.items()}
    return arrays


def _old_vae_name(name: str) -> str:
    for new, old in _OLD_ATTENTION.items():
        name = name.replace(f".attentions.0.{new}.", f".attentions.0.{old}.")
    return name


def _write_json(path: Path, document: Mapping[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2, sort_keys=True) + "\n", encoding="utf-8")
