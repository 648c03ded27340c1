"""Write the trained model as a diffusers folder: float16 weights, configs, tokenizer."""

import json
import shutil
from pathlib import Path

import diffusers
import torch
from diffusers import AutoencoderKL, DDIMScheduler
from safetensors.torch import save_file
from torch import Tensor, nn

from tools.train_emoji.diffusion import Denoiser
from tools.train_emoji.networks import SCHEDULE
from tools.train_emoji.timebox import log

_WEIGHTS = "diffusion_pytorch_model.safetensors"
_PREFIX = "text_model."
# What defines the text model; the library's own list grows with each of its versions.
_TEXT_KEYS = (
    *("vocab_size", "hidden_size", "intermediate_size", "projection_dim", "hidden_act"),
    *("num_hidden_layers", "num_attention_heads", "max_position_embeddings"),
    *("layer_norm_eps", "bos_token_id", "eos_token_id", "pad_token_id"),
)


def half_weights(module: nn.Module) -> dict[str, Tensor]:
    """Return the float16 weights.

    Raises ValueError where one is too large for float16.
    """
    state = {k: v for k, v in module.state_dict().items() if "position_ids" not in k}
    halves = {k: v.detach().half().contiguous().cpu() for k, v in state.items()}
    wrong = [k for k, v in halves.items() if not torch.isfinite(v).all()]
    if wrong:
        raise ValueError(f"not finite in float16: {wrong}; train again with more weight decay")
    return halves


def export(folder: Path, vae: AutoencoderKL, net: Denoiser, tokenizer: Path) -> None:
    """Write the whole folder; files of the same names are replaced."""
    for name, module in (("unet", net.unet), ("vae", vae)):
        module.save_config(folder / name)
        _forget_origin(folder / name / "config.json")
        save_file(half_weights(module), folder / name / _WEIGHTS, {"format": "pt"})
    _export_text_encoder(folder / "text_encoder", net)
    shutil.copytree(tokenizer, folder / "tokenizer", dirs_exist_ok=True)
    DDIMScheduler(
        **SCHEDULE, clip_sample=False, set_alpha_to_one=False, steps_offset=1
    ).save_config(folder / "scheduler")
    _write_json(folder / "model_index.json", _index())
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    log(f"export: {size / 1e6:.2f} MB in {folder}")


def _export_text_encoder(folder: Path, net: Denoiser) -> None:
    """Export with the keys of Stable Diffusion 1.x files, whatever transformers uses."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = half_weights(net.text)
    weights = {k if k.startswith(_PREFIX) else _PREFIX + k: v for k, v in weights.items()}
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    known = net.text.config.to_dict()
    config = {key: known[key] for key in _TEXT_KEYS} | {
        "architectures": ["CLIPTextModel"],
        "model_type": "clip_text_model",
        "torch_dtype": "float16",
    }
    _write_json(folder / "config.json", config)


def _forget_origin(path: Path) -> None:
    """Remove the local folder that the weights were read from."""
    config = json.loads(path.read_text(encoding="utf-8"))
    config.pop("_name_or_path", None)
    _write_json(path, config)


def _index() -> dict[str, object]:
    nothing = [None, None]
    return {
        "_class_name": "StableDiffusionPipeline",
        "_diffusers_version": diffusers.__version__,
        "feature_extractor": nothing,
        "image_encoder": nothing,
        "requires_safety_checker": False,
        "safety_checker": nothing,
        "scheduler": ["diffusers", "DDIMScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
