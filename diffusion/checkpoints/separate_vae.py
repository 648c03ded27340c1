"""A VAE of its own, beside a model or in the place of the model's: a folder or a single file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from diffusion.checkpoints.folder import ModelFolder, find_weights
from diffusion.checkpoints.json_object import read_json_object
from diffusion.checkpoints.names import VAE_NAMES, translate
from diffusion.checkpoints.safetensors import SafetensorsFile, open_safetensors
from diffusion.checkpoints.single_file_names import is_vae_projection, vae_names
from diffusion.checkpoints.torch_file import other_file
from diffusion.checkpoints.weights import Place, Weights, open_weights
from diffusion.errors import ModelFormatError, ModelNotFoundError, printable, quoted
from diffusion.models.config import TinyVaeConfig, VaeConfig

__all__ = ["SeparateVae", "open_vae"]

_STEM: Final = "diffusion_pytorch_model"
_HINT: Final = "name the folder of a VAE (AutoencoderKL or AutoencoderTiny), or its .safetensors"
_PREFIX: Final = "first_stage_model."
_OLD_SIGN: Final = "encoder.down.0.block.0.conv1.weight"
_TINY_SIGN: Final = "decoder.layers.0.weight"


@dataclass(frozen=True)
class SeparateVae:
    """``config`` tells which kind it is; ``weights`` are opened, no tensor is read yet."""

    config: VaeConfig | TinyVaeConfig
    weights: Weights


def open_vae(path: str | Path, model: ModelFolder) -> SeparateVae:
    """Open a VAE for a model, whose latents it must have in number and size.

    A folder has its own config. A file has none: it is taken for the model's kind of VAE, or for
    the tiny one as published, by its names. Raises ``ModelNotFoundError``, ``ModelFormatError``.
    """
    path = Path(path)
    try:
        exists = path.exists()
    except OSError as error:  # too long, or in a folder that may not be read
        raise ModelNotFoundError(path, "cannot be a path", "check the path") from error
    if not exists:
        raise ModelNotFoundError(path, "there is no such VAE", "check the path")
    found = _open_folder(path) if path.is_dir() else _open_file(path, model)
    for field in ("latent_channels", "downscale"):
        has, wanted = getattr(found.config, field), getattr(model.vae, field)
        if has != wanted:
            reason = f"is {has}, and {wanted} goes with the model"
            raise ModelFormatError(path, field, reason, _HINT)
    return found


def _open_folder(folder: Path) -> SeparateVae:
    file = folder / "config.json"
    if not file.exists():
        inner = folder / "vae"
        hint = f"name the model's VAE: {printable(str(inner))}" if inner.is_dir() else _HINT
        raise ModelNotFoundError(file, "there is no such file", hint)
    mapping = read_json_object(file)
    name = mapping.get("_class_name")
    config: VaeConfig | TinyVaeConfig
    if name == "AutoencoderKL":
        config = VaeConfig.from_json(mapping, file)
    elif name == "AutoencoderTiny":
        config = TinyVaeConfig.from_json(mapping, file)
    else:
        reason = f"is {quoted(name)}, and AutoencoderKL or AutoencoderTiny is wanted"
        raise ModelFormatError(file, "_class_name", reason, _HINT)
    return SeparateVae(config, open_weights(find_weights(folder, _STEM), VAE_NAMES))


def _open_file(path: Path, model: ModelFolder) -> SeparateVae:
    if path.suffix.lower() != ".safetensors":
        raise other_file(path, "a VAE's folder", _HINT)
    file = open_safetensors(path)
    if _TINY_SIGN in file.entries:
        return SeparateVae(TinyVaeConfig.from_json({}, path), open_weights(path, ()))
    return SeparateVae(model.vae, Weights(path, _places(file, model.vae)))


def _places(file: SafetensorsFile, config: VaeConfig) -> Iterator[Place]:
    """The tensors under the model's names, from diffusers' spelling or the training code's."""
    old = any(name.removeprefix(_PREFIX) == _OLD_SIGN for name in file.names)
    names = vae_names(len(config.block_out_channels), config.layers_per_block) if old else None
    for stored in file.names:
        plain = stored.removeprefix(_PREFIX)
        name = names.diffusers(plain) if names else translate(plain, VAE_NAMES)
        entry = file.entry(stored)
        matrix = name is not None and is_vae_projection(name)
        if matrix and len(entry.shape) == 4 and entry.shape[2:] == (1, 1):
            entry = entry.reshaped(*entry.shape[:2])
        if not plain.startswith(("loss.", "model_ema.")):
            yield Place(name or stored, file, stored, entry)
