"""Opening a VAE that replaces a model's own: a folder or a single file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from diffusion.checkpoints.file_errors import reading
from diffusion.checkpoints.json_files import read_json_object
from diffusion.checkpoints.model_folder import ModelFolder
from diffusion.checkpoints.parameter_names import VAE_NAMES, translate_name
from diffusion.checkpoints.part_files import find_weights
from diffusion.checkpoints.pytorch import wrong_file_error
from diffusion.checkpoints.safetensors import SafetensorsFile, open_safetensors
from diffusion.checkpoints.single_file.families import VAE_PREFIX
from diffusion.checkpoints.single_file.module_names import is_vae_projection, vae_names
from diffusion.checkpoints.tiny_vae_files import half_of, open_halves
from diffusion.checkpoints.weights import ParameterSource, Weights, open_weights
from diffusion.errors import ModelFormatError, ModelNotFoundError, escape, quote
from diffusion.models.config import TinyVaeConfig, VaeConfig

__all__ = ["SeparateVae", "open_vae"]

_STEM: Final = "diffusion_pytorch_model"
_HINT: Final = "name the folder of a VAE (AutoencoderKL or AutoencoderTiny), or its .safetensors"
_TRAINING_NAME: Final = "encoder.down.0.block.0.conv1.weight"
_TINY_NAME: Final = "decoder.layers.0.weight"


@dataclass(frozen=True)
class SeparateVae:
    """An opened VAE, whose kind ``config`` tells; no tensor of ``weights`` is read yet.

    ``missing_encoder``: where its encoder would lie, for one that only decodes.
    """

    config: VaeConfig | TinyVaeConfig
    weights: Weights
    missing_encoder: Path | None = None

    def require_encoder(self) -> None:
        """Raise ``ModelNotFoundError`` where the VAE only decodes."""
        if self.missing_encoder is not None:
            reason = "there is no such file, and pictures are encoded by it"
            hint = f"put it beside {quote(self.weights.path.name)}, or choose another VAE"
            raise ModelNotFoundError(self.missing_encoder, reason, hint)


def open_vae(path: str | Path, model: ModelFolder) -> SeparateVae:
    """Open a VAE for a model; the two must agree in latent channels and size.

    A folder has its own config. A file has none. By its names it is read as the model's kind of
    VAE, as the tiny one of diffusers, or as one half of a tiny one (see `open_halves`).
    Raises ``ModelNotFoundError``, ``ModelFormatError``.
    """
    path = Path(path)
    with reading(path):
        if not path.exists():
            raise ModelNotFoundError(path, "there is no such VAE", "check the path")
        found = _open_folder(path) if path.is_dir() else _open_file(path, model)
    for field in ("latent_channels", "downscale"):
        value, expected = getattr(found.config, field), getattr(model.vae, field)
        if value != expected:
            reason = f"must be {expected} as in the model, got {value}"
            raise ModelFormatError(path, field, reason, _HINT)
    return found


def _open_folder(folder: Path) -> SeparateVae:
    """Open a folder with a config and weights."""
    file = folder / "config.json"
    if not file.exists():
        inner = folder / "vae"
        hint = f"name the model's VAE: {escape(str(inner))}" if inner.is_dir() else _HINT
        raise ModelNotFoundError(file, "there is no such file", hint)
    mapping = read_json_object(file)
    name = mapping.get("_class_name")
    config: VaeConfig | TinyVaeConfig
    if name == "AutoencoderKL":
        config = VaeConfig.from_json(mapping, file)
    elif name == "AutoencoderTiny":
        config = TinyVaeConfig.from_json(mapping, file)
    else:
        reason = f"must be AutoencoderKL or AutoencoderTiny, got {quote(name)}"
        raise ModelFormatError(file, "_class_name", reason, _HINT)
    return SeparateVae(config, open_weights(find_weights(folder, _STEM), VAE_NAMES))


def _open_file(path: Path, model: ModelFolder) -> SeparateVae:
    """Open a single file, whose names tell the kind of VAE."""
    if path.suffix.lower() != ".safetensors":
        raise wrong_file_error(path, "a VAE's folder", _HINT)
    file = open_safetensors(path)
    if half_of(file):
        return SeparateVae(*open_halves(file))
    if _TINY_NAME in file.entries:
        return SeparateVae(TinyVaeConfig.from_json({}, path), open_weights(path, ()))
    return SeparateVae(model.vae, Weights(path, _sources(file, model.vae)))


def _sources(file: SafetensorsFile, config: VaeConfig) -> Iterator[ParameterSource]:
    """Yield the tensors under the model's names, spelt as in diffusers or in training code."""
    from_training = any(name.removeprefix(VAE_PREFIX) == _TRAINING_NAME for name in file.names)
    names = (
        vae_names(len(config.block_out_channels), config.layers_per_block)
        if from_training
        else None
    )
    for stored in file.names:
        plain = stored.removeprefix(VAE_PREFIX)
        name = names.diffusers(plain) if names else translate_name(plain, VAE_NAMES)
        entry = file.entry(stored)
        matrix = name is not None and is_vae_projection(name)
        if matrix and len(entry.shape) == 4 and entry.shape[2:] == (1, 1):
            entry = entry.reshape(*entry.shape[:2])
        if not plain.startswith(("loss.", "model_ema.")):
            yield ParameterSource(name or stored, file, stored, entry)
