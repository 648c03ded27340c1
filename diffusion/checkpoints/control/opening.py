"""Opening a control network for a model: a folder of diffusers, or a single file."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from diffusion.checkpoints.control.adapters import adapter_config, adapter_sources, is_adapter
from diffusion.checkpoints.control.based_weights import DifferenceWeights, LowRankWeights
from diffusion.checkpoints.control.derivation import derive_config
from diffusion.checkpoints.control.family import check_family
from diffusion.checkpoints.control.lite import is_lite, lite_config
from diffusion.checkpoints.control.module_names import LDM_PREFIX, control_names
from diffusion.checkpoints.file_errors import reading
from diffusion.checkpoints.json_files import read_json_object
from diffusion.checkpoints.model_folder import ModelFolder
from diffusion.checkpoints.parameter_names import model_kind
from diffusion.checkpoints.part_files import find_weights
from diffusion.checkpoints.pytorch import wrong_file_error
from diffusion.checkpoints.safetensors import SafetensorsFile, open_safetensors
from diffusion.checkpoints.weights import ParameterSource, Weights, open_weights
from diffusion.errors import ModelFormatError, ModelNotFoundError, quote
from diffusion.models.control_config import AdapterConfig, ControlNetConfig
from diffusion.models.lite import LiteConfig
from diffusion.models.xs import XsConfig

__all__ = ["ControlConfig", "SeparateControl", "find_file", "open_control", "short_hash"]

_HASHED_FROM: Final = 1 << 20
_HASHED: Final = 1 << 16
_STEM: Final = "diffusion_pytorch_model"
_HINT: Final = "name the folder of a ControlNet or a T2I-Adapter, or its .safetensors file"
_DIFFUSERS: Final = "controlnet_mid_block.weight"
_LDM: Final = "middle_block_out.0.weight"
_DIFFERENCE, _LOW_RANK = "difference", "lora_controlnet"
_NETS: Final = ("ControlNetModel", "ControlNetUnionModel")
_XS_CLASS: Final = "ControlNetXSAdapter"
_XS: Final = "control_to_base_for_conv_in.weight"
_UNREAD: Final = (("ip_adapter.", "an IP-Adapter, which --ip-adapter names"),)
"""Relatives that are not read yet, or not here."""


ControlConfig = ControlNetConfig | AdapterConfig | LiteConfig | XsConfig


@dataclass(frozen=True)
class SeparateControl:
    """An opened control network, whose kind ``config`` tells; no tensor of it is read yet."""

    config: ControlConfig
    weights: Weights


def find_file(path: Path) -> Path:
    """Return the file with a network's weights, which may be in a folder."""
    return find_weights(path, _STEM) if path.is_dir() else path


def short_hash(path: Path) -> str:
    """Return the eight digits by which the WebUI's extension tells networks apart.

    They are the first of the SHA-256 of 64 KiB from 1 MiB on.
    """
    with reading(path), path.open("rb") as file:
        file.seek(_HASHED_FROM)
        return hashlib.sha256(file.read(_HASHED)).hexdigest()[:8]


def open_control(path: str | Path, model: ModelFolder) -> SeparateControl:
    """Open a ControlNet, a T2I-Adapter, a ControlNet-LLLite or a ControlNet-XS for a model.

    A folder has its own config; that of a file follows from its names and shapes, and from the
    model, whose copy it is. Raises ``ModelNotFoundError``, ``ModelFormatError``, and
    ``ModelMismatchError`` for one of another family.
    """
    path = Path(path)
    with reading(path):
        if not path.exists():
            raise ModelNotFoundError(path, "there is no such control network", "check the path")
        found = _open_folder(path) if path.is_dir() else _open_file(path, model)
        check_family(found.config, found.weights, model)
    return found


def _open_folder(folder: Path) -> SeparateControl:
    """Open a folder with a config and weights."""
    file = folder / "config.json"
    if not file.exists():
        raise ModelNotFoundError(file, "there is no such file", _HINT)
    mapping = read_json_object(file)
    name = mapping.get("_class_name")
    if name == "T2IAdapter":
        config = AdapterConfig.from_json(mapping, file)
        return SeparateControl(config, open_weights(find_weights(folder, _STEM), ()))
    if name == _XS_CLASS:
        xs = XsConfig.from_json(mapping, file)
        return SeparateControl(xs, open_weights(find_weights(folder, _STEM), ()))
    if name not in _NETS:
        reason = f"must be one of {', '.join((*_NETS, 'T2IAdapter', _XS_CLASS))}, got {quote(name)}"
        raise ModelFormatError(file, "_class_name", reason, _HINT)
    control = ControlNetConfig.from_json(mapping, file)
    return SeparateControl(control, open_weights(find_weights(folder, _STEM), ()))


def _open_file(path: Path, model: ModelFolder) -> SeparateControl:
    """Open a single file, whose names tell the kind of network."""
    if path.suffix.lower() != ".safetensors":
        raise wrong_file_error(path, "a control network's folder", _HINT)
    file = open_safetensors(path)
    for sign, kind in _UNREAD:
        if any(name.startswith(sign) for name in file.names):
            raise ModelFormatError(path, "names", f"must be a ControlNet, got {kind}", _HINT)
    sources = [
        ParameterSource(name.removeprefix(LDM_PREFIX), file, name, file.entry(name))
        for name in file.names
        if name not in (_DIFFERENCE, _LOW_RANK)
    ]
    names = {source.name for source in sources}
    weights = Weights(path, sources)
    if _XS in names:
        return SeparateControl(_config_beside(path), weights)
    if is_lite(names):
        return SeparateControl(lite_config(weights, model), weights)
    if is_adapter(names):
        weights = Weights(path, adapter_sources(sources))
        return SeparateControl(adapter_config(weights, model), weights)
    if not {_DIFFUSERS, _LDM} & names:
        kind = model_kind(file.names) or "a file of an unknown kind"
        raise ModelFormatError(path, "names", f"must be a ControlNet, got {kind}", _HINT)
    if _LDM in names:
        hints = sum(
            name.startswith("input_hint_block.") and name.endswith("bias") for name in names
        )
        table = control_names(model.unet.layers_per_block, max(0, hints - 2))
        sources = [each._replace(name=table.diffusers(each.name) or each.name) for each in sources]
        weights = _weights(file, sources, model)
    config = derive_config(weights.entries, model.unet, path)
    return SeparateControl(config, weights)


def _config_beside(path: Path) -> XsConfig:
    """Return the config beside a ControlNet-XS, whose names tell neither heads nor groups."""
    file = path.with_name("config.json")
    if not file.exists():
        reason = "a ControlNet-XS needs the config.json beside it, and there is none"
        raise ModelNotFoundError(file, reason, "download the whole folder and name it")
    mapping = read_json_object(file)
    name = mapping.get("_class_name")
    if name != _XS_CLASS:
        reason = f"must be {_XS_CLASS}, got {quote(name)}"
        raise ModelFormatError(file, "_class_name", reason, _HINT)
    return XsConfig.from_json(mapping, file)


def _weights(file: SafetensorsFile, sources: list[ParameterSource], model: ModelFolder) -> Weights:
    """Return a ControlNet's weights, which may be told by their distance from the UNet's."""
    if _LOW_RANK in file.entries:
        return LowRankWeights(file.path, sources, model.weights("unet"))
    if _DIFFERENCE in file.entries:
        return DifferenceWeights(file.path, sources, model.weights("unet"))
    return Weights(file.path, sources)
