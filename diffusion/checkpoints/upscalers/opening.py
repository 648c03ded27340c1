"""Opening an upscaler: a single ``.safetensors`` file, whose shapes tell its sizes."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from diffusion.checkpoints.file_errors import reading
from diffusion.checkpoints.file_kinds import DOWNLOAD_AGAIN
from diffusion.checkpoints.parameter_names import model_kind
from diffusion.checkpoints.pytorch import wrong_file_error
from diffusion.checkpoints.safetensors import SafetensorsFile, open_safetensors
from diffusion.checkpoints.upscalers.spellings import rrdb_sources, without_wrapper
from diffusion.checkpoints.weights import ParameterSource, Weights
from diffusion.errors import ModelFormatError, ModelNotFoundError, Shape
from diffusion.models.fields import MAX_LAYERS
from diffusion.models.upscalers import CompactConfig, RrdbConfig, UpscalerConfig, upscaler_of
from diffusion.models.upscalers.config import COLOURS

__all__ = ["OpenedUpscaler", "open_upscaler"]

_HINT: Final = "give an ESRGAN, a Real-ESRGAN or a compact upscaler"
_MOST_CHANNELS: Final = 1024
_MOST_SCALE: Final = 8
_LAYER: Final = re.compile(r"body\.(\d{1,3})\.")
_OTHER_KINDS: Final = (
    (re.compile(r"layers\.0\.residual_group\.blocks\.0\.norm1\.weight"), "a SwinIR or a HAT"),
    (re.compile(r"before_RG\.1\.weight"), "a DAT"),
    (re.compile(r"block_1\.c1_r\..*"), "a SPAN"),
    (re.compile(r"feats\.0\.weight"), "a PLKSR"),
    (re.compile(r"m_head\.0\.weight"), "a SCUNet"),
    (re.compile(r"stylegan_decoder\..*|position_emb|quantize\.embedding\..*"), "a face restorer"),
)
"""Upscalers with other networks, by the name of a tensor."""

Activation = Literal["prelu", "relu", "leaky_relu"]


@dataclass(frozen=True)
class OpenedUpscaler:
    """An opened upscaler: its sizes, and its weights, of which no tensor is read yet."""

    config: UpscalerConfig
    weights: Weights


def open_upscaler(path: str | Path) -> OpenedUpscaler:
    """Open an upscaler's file, and compare its tensors with the parameters of its network.

    Raises ``ModelNotFoundError``, ``ModelFormatError`` and ``ModelMismatchError``.
    """
    path = Path(path)
    with reading(path):
        if not path.exists():
            raise ModelNotFoundError(path, "there is no such upscaler", "check the path")
        if path.suffix.lower() != ".safetensors":
            raise wrong_file_error(path, "an upscaler", _HINT)
        opened = _open_file(open_safetensors(path))
    network = upscaler_of(opened.config)
    opened.weights.check({name: each.shape for name, each in network.parameters()})
    return opened


def _open_file(file: SafetensorsFile) -> OpenedUpscaler:
    """Return an upscaler whose sizes are checked. Raises ``ModelFormatError``."""
    sources = without_wrapper(
        ParameterSource(name, file, name, file.entry(name)) for name in file.names
    )
    weights = Weights(file.path, sources)
    kinds = (kind for sign, kind in _OTHER_KINDS if any(map(sign.fullmatch, weights.entries)))
    kind = next(kinds, model_kind(file.names))
    if not kind and {"conv_first.weight", "model.0.weight"} & set(weights.entries):
        weights = Weights(file.path, rrdb_sources(sources))
        return OpenedUpscaler(_rrdb_config(weights), weights)
    if not kind and len(_shape(weights, "body.0.weight")) == 4:
        return OpenedUpscaler(_compact_config(file, weights), weights)
    kind = kind or "a file of an unknown kind"
    raise _error(
        weights, "names", f"must be those of an upscaler that is read here, got {kind}", _HINT
    )


def _rrdb_config(weights: Weights) -> RrdbConfig:
    numbers = {int(found[1]) for name in weights.entries if (found := _LAYER.match(name))}
    doublings = sum(f"conv_up.{n}.weight" in weights.entries for n in range(9))
    width, inputs = _sides(weights, "conv_first.weight")
    growth, _ = _sides(weights, "body.0.rdb1.conv1.weight")
    _check_colours(weights, _sides(weights, "conv_last.weight")[0], COLOURS)
    unshuffle = math.isqrt(max(1, inputs // COLOURS))
    _check_colours(weights, inputs, COLOURS * unshuffle**2)
    _check_number(weights, "blocks", max(numbers) + 1, MAX_LAYERS)
    if unshuffle not in (1, 2, 4) or (1 << doublings) % unshuffle:
        reason = f"must read 3, 12 or 48 channels, got {inputs} for a size of {(1 << doublings)}"
        raise _error(weights, "tensor 'conv_first.weight'", reason, _HINT)
    _check_number(weights, "scale", (1 << doublings) // unshuffle, _MOST_SCALE)
    shortcuts = "body.0.rdb1.conv1x1.weight" in weights.entries
    return RrdbConfig(width, growth, max(numbers) + 1, doublings, unshuffle, shortcuts)


def _compact_config(file: SafetensorsFile, weights: Weights) -> CompactConfig:
    last = max(int(found[1]) for name in weights.entries if (found := _LAYER.match(name)))
    width, inputs = _sides(weights, "body.0.weight")
    _check_colours(weights, inputs, COLOURS)
    _check_number(weights, "layers", last // 2, MAX_LAYERS)
    outputs, _ = _sides(weights, f"body.{last}.weight")
    scale = math.isqrt(outputs // COLOURS)
    _check_colours(weights, outputs, COLOURS * scale**2)
    _check_number(weights, "scale", scale, _MOST_SCALE)
    return CompactConfig(width, last // 2 - 1, scale, _activation(file, weights))


def _activation(file: SafetensorsFile, weights: Weights) -> Activation:
    """Return a compact upscaler's activation; the file's notes or its name tell one of two."""
    if "body.1.weight" in weights.entries:
        return "prelu"
    word = (file.metadata.get("act_type") or file.path.stem).lower().replace("_", "")
    if "leakyrelu" in word:
        return "leaky_relu"
    if "relu" in word:
        return "relu"
    reason = "must tell its activation, which has no weights: relu or leakyrelu"
    raise _error(
        weights, "act_type", reason, "give the file a name that has one of these words in it"
    )


def _shape(weights: Weights, name: str) -> Shape:
    """Return a tensor's shape; () where it is not there."""
    return weights.entries[name].shape if name in weights.entries else ()


def _sides(weights: Weights, name: str) -> tuple[int, int]:
    """Return outputs and inputs of a convolution. Raises ``ModelFormatError``."""
    shape = _shape(weights, name)
    if len(shape) != 4:
        reason = f"must have 4 axes, got {list(shape)}"
        raise _error(weights, f"tensor {name!r}", reason, DOWNLOAD_AGAIN)
    if not 0 < max(shape[:2]) <= _MOST_CHANNELS or 0 in shape:
        reason = f"must have 1 to {_MOST_CHANNELS} channels, got {list(shape)}"
        raise _error(weights, f"tensor {name!r}", reason, _HINT)
    return shape[0], shape[1]


def _check_colours(weights: Weights, channels: int, expected: int) -> None:
    if channels != expected:
        reason = f"must be {COLOURS} colours for each pixel, got {channels} channels"
        raise _error(weights, "channels", reason, "give an upscaler of colour pictures")


def _check_number(weights: Weights, field: str, number: int, most: int) -> None:
    if not 1 <= number <= most:
        raise _error(weights, field, f"must be 1 to {most}, got {number}", _HINT)


def _error(weights: Weights, field: str, reason: str, hint: str) -> ModelFormatError:
    return ModelFormatError(weights.path, field, reason, hint)
