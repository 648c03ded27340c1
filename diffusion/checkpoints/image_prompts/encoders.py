"""Opening CLIP's image encoder: a folder with its config, or a file alone."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

from diffusion.checkpoints.file_errors import reading
from diffusion.checkpoints.file_kinds import DOWNLOAD_AGAIN
from diffusion.checkpoints.json_files import read_json_object
from diffusion.checkpoints.parameter_names import NameTable, model_kind
from diffusion.checkpoints.part_files import find_weights
from diffusion.checkpoints.pytorch import wrong_file_error
from diffusion.checkpoints.safetensors import TensorEntry
from diffusion.checkpoints.weights import Weights, open_weights
from diffusion.errors import ModelError, ModelFormatError, ModelNotFoundError, Shape, quote
from diffusion.models.image_prompts import ClipVisionConfig, IpAdapterConfig

__all__ = ["SeparateImageEncoder", "derive_config", "find_image_encoder", "open_image_encoder"]

Entries = Mapping[str, TensorEntry]

_HINT: Final = "name the folder of a CLIP image encoder, or its .safetensors file"
_NAMES: Final[NameTable] = (
    (
        re.compile(r"^(?=(?:embeddings|encoder|pre_layrnorm|post_layernorm)\.)"),
        "vision_model.",
    ),
)
"""Some files leave the first part of the names out."""

_TEXT: Final = ("text_model.", "text_projection.", "logit_scale")
"""Tensors of a whole CLIP model that read no picture."""

_EMBEDDINGS: Final = "vision_model.embeddings"
_KNOWN: Final[Mapping[int, tuple[int, str]]] = {
    768: (12, "quick_gelu"),
    1024: (16, "quick_gelu"),
    1280: (16, "gelu"),
    1664: (16, "gelu"),
}
"""Heads and activation by width, for files without a config: OpenAI's ViT-B and ViT-L, and
open_clip's ViT-H/14 and ViT-bigG/14."""

_TITLES: Final[Mapping[tuple[bool, int], str]] = {
    (False, 1024): "CLIP ViT-H/14 (laion2B)",
    (False, 1280): "CLIP ViT-bigG/14 (laion2B)",
    (True, 1280): "CLIP ViT-H/14 (laion2B)",
    (True, 1664): "CLIP ViT-bigG/14 (laion2B)",
}
"""Encoders by what an adapter reads: states or not, and the width."""

_PLACES: Final = ("image_encoder", "../image_encoder", "../models/image_encoder")
"""Where published repositories have encoders, from an adapter's folder on."""


@dataclass(frozen=True)
class SeparateImageEncoder:
    """An opened image encoder; no tensor of it is read yet."""

    config: ClipVisionConfig
    weights: Weights

    def fits(self, adapter: IpAdapterConfig) -> bool:
        """Tell whether an adapter can read what it makes."""
        width = self.config.hidden_size if adapter.reads_states else self.config.projection_dim
        return width == adapter.inputs


def open_image_encoder(path: str | Path) -> SeparateImageEncoder:
    """Open CLIP's image encoder. Raises ``ModelNotFoundError``, ``ModelFormatError``."""
    path = Path(path)
    with reading(path):
        if not path.exists():
            raise ModelNotFoundError(path, "there is no such image encoder", "check the path")
        if path.is_dir():
            file = path / "config.json"
            config = ClipVisionConfig.from_json(_vision_part(read_json_object(file)), file)
            weights = open_weights(find_weights(path, "model"), _NAMES).without(_TEXT)
            return SeparateImageEncoder(config, weights)
        if path.suffix.lower() != ".safetensors":
            raise wrong_file_error(path, "an image encoder's folder", _HINT)
        weights = open_weights(path, _NAMES).without(_TEXT)
        if f"{_EMBEDDINGS}.class_embedding" not in weights.entries:
            kind = model_kind(weights.entries) or "a file of an unknown kind"
            reason = f"must be a CLIP vision encoder, got {kind}"
            raise ModelFormatError(path, "names", reason, _HINT)
        return SeparateImageEncoder(derive_config(weights.entries, path), weights)


def find_image_encoder(
    adapter: Path, config: IpAdapterConfig, others: Iterable[Path]
) -> SeparateImageEncoder:
    """Return the first encoder that fits an adapter: beside it as in published folders, or another.

    ``others``: folders and files that may be encoders. Raises ``ModelNotFoundError``.
    """
    beside = [adapter.parent / place for place in _PLACES]
    for path in [*(each for each in beside if (each / "config.json").is_file()), *others]:
        try:
            found = open_image_encoder(path)
        except ModelError:
            continue
        if found.fits(config):
            return found
    title = _TITLES.get((config.reads_states, config.inputs), f"one of width {config.inputs}")
    reason = f"the image encoder that it needs is not beside it: {title}"
    raise ModelNotFoundError(adapter, reason, "name it (--ip-encoder PATH)")


def _vision_part(mapping: Mapping[str, object]) -> Mapping[str, object]:
    """Return the image encoder's keys in the config of a whole CLIP model, or all keys."""
    own = mapping.get("vision_config")
    if not isinstance(own, dict):
        return mapping
    width = mapping.get("projection_dim", own.get("projection_dim", 512))
    return {**own, "model_type": "clip_vision_model", "projection_dim": width}


def derive_config(entries: Entries, path: Path) -> ClipVisionConfig:
    """Return the config that a file's names and shapes tell. Raises ``ModelFormatError``."""
    width = _shape(entries, f"{_EMBEDDINGS}.class_embedding", 1, path)[0]
    if width not in _KNOWN:
        reason = f"must be of a known width ({', '.join(map(str, _KNOWN))}), got {width}"
        hint = "give the encoder's folder, whose config.json tells how many heads it has"
        raise ModelFormatError(path, "width", reason, hint)
    heads, activation = _KNOWN[width]
    patch = _shape(entries, f"{_EMBEDDINGS}.patch_embedding.weight", 4, path)[3]
    places = _shape(entries, f"{_EMBEDDINGS}.position_embedding.weight", 2, path)[0]
    layer = "vision_model.encoder.layers.{}.layer_norm1.weight"
    mapping = {
        "hidden_size": width,
        "intermediate_size": _shape(
            entries, "vision_model.encoder.layers.0.mlp.fc1.weight", 2, path
        )[0],
        "num_hidden_layers": next(n for n in count() if layer.format(n) not in entries),
        "num_attention_heads": heads,
        "image_size": math.isqrt(max(places - 1, 0)) * patch,
        "patch_size": patch,
        "hidden_act": activation,
        "projection_dim": _shape(entries, "visual_projection.weight", 2, path)[0],
    }
    return ClipVisionConfig.from_json(mapping, path)


def _shape(entries: Entries, name: str, axes: int, path: Path) -> Shape:
    """Return a tensor's shape, which must have so many axes. Raises ``ModelFormatError``."""
    shape = entries[name].shape if name in entries else ()
    if len(shape) != axes:
        reason = f"must have {axes} axes, got {list(shape)}"
        raise ModelFormatError(path, f"tensor {quote(name)}", reason, DOWNLOAD_AGAIN)
    return shape
