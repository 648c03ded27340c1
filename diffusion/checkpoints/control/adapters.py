"""Names and configs of T2I-Adapters: of diffusers, and of TencentARC's own files."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from diffusion.checkpoints.file_kinds import DOWNLOAD_AGAIN
from diffusion.checkpoints.model_folder import ModelFolder
from diffusion.checkpoints.weights import ParameterSource, Weights
from diffusion.errors import ModelFormatError
from diffusion.models.control_config import AdapterConfig, begins_halved

__all__ = ["adapter_config", "adapter_sources", "is_adapter"]

_PREFIX: Final = "adapter."
_FLAT: Final = re.compile(r"body\.(\d{1,2})\.(block[12]|in_conv)\.(weight|bias)")
_LIGHT: Final = re.compile(r"body\.(\d{1,2})\.body\.(\d{1,2})\.(.*)")
_SIGN: Final = re.compile(r"(?:adapter\.)?body\.0\.(?:(?:resnets|body)\.0\.)?block1\.weight")
_BLOCKS: Final = 2
"""Residual blocks of a level in files that count through."""
_COLOURS: Final = (1, 3)


def is_adapter(names: Iterable[str]) -> bool:
    """Tell whether tensors' names are those of a T2I-Adapter."""
    return any(_SIGN.fullmatch(name) for name in names)


def adapter_sources(sources: Iterable[ParameterSource]) -> list[ParameterSource]:
    """Return the sources under the names that diffusers gives them."""
    plain = [each._replace(name=each.name.removeprefix(_PREFIX)) for each in sources]
    is_flat = any(_FLAT.fullmatch(each.name) and ".block" in each.name for each in plain)
    return [each._replace(name=_PREFIX + _rename(each.name, is_flat=is_flat)) for each in plain]


def _rename(name: str, *, is_flat: bool) -> str:
    """Return a name of diffusers; ``is_flat``: the file counts blocks through all levels."""
    if found := _LIGHT.fullmatch(name):
        return f"body.{found[1]}.resnets.{found[2]}.{found[3]}"
    found = _FLAT.fullmatch(name) if is_flat else None
    if found:
        level, layer = divmod(int(found[1]), _BLOCKS)
        if found[2] != "in_conv":
            return f"body.{level}.resnets.{layer}.{found[2]}.{found[3]}"
        if layer == 0 and not name.startswith("body.0."):
            return f"body.{level}.in_conv.{found[3]}"
    return name


def adapter_config(weights: Weights, model: ModelFolder) -> AdapterConfig:
    """Return the config of an adapter that is a file alone. Raises ``ModelFormatError``."""
    entries, path = weights.entries, weights.path
    light = f"{_PREFIX}body.0.out_conv.weight" in entries
    first = "body.0.in_conv" if light else "conv_in"
    inputs = _sides(weights, f"{_PREFIX}{first}.weight", path)[1]
    last = "out_conv.weight" if light else "resnets.0.block1.weight"
    widths: list[int] = []
    while f"{_PREFIX}body.{len(widths)}.{last}" in entries:
        widths.append(_sides(weights, f"{_PREFIX}body.{len(widths)}.{last}", path)[0])
    blocks = sum(f"{_PREFIX}body.0.resnets.{n}.block1.weight" in entries for n in range(16))
    halved = begins_halved(model.unet)
    factor = model.vae.downscale * (1 + halved)
    colours = inputs // factor**2
    if colours not in _COLOURS or inputs % factor**2:
        kind = "Stable Diffusion 1.x or 2.x" if halved else "Stable Diffusion XL"
        reason = f"must read blocks of {factor}x{factor} pixels, got {inputs} channels"
        hint = f"it may be for {kind}; give an adapter that was made for this model's family"
        raise ModelFormatError(path, first, reason, hint)
    kind = "light_adapter" if light else "full_adapter_xl" if halved else "full_adapter"
    tree = {
        "adapter_type": kind,
        "channels": widths[:-1] if light else widths,
        "downscale_factor": factor,
        "in_channels": colours,
        "num_res_blocks": blocks,
    }
    return AdapterConfig.from_json(tree, path)


def _sides(weights: Weights, name: str, path: Path) -> tuple[int, int]:
    """Return outputs and inputs of a convolution. Raises ``ModelFormatError``."""
    shape = weights.entries[name].shape if name in weights.entries else ()
    if len(shape) != 4:
        reason = f"must have 4 axes, got {list(shape)}"
        raise ModelFormatError(path, f"tensor {name!r}", reason, DOWNLOAD_AGAIN)
    return shape[0], shape[1]
