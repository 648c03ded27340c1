"""Opening an IP-Adapter's file: its kind by its names, its sizes by its shapes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

from diffusion.checkpoints.control.family import family_title
from diffusion.checkpoints.file_errors import reading
from diffusion.checkpoints.file_kinds import DOWNLOAD_AGAIN
from diffusion.checkpoints.image_prompts.names import diffusers_names, is_diffusers_name
from diffusion.checkpoints.image_prompts.stacked_weights import StackedWeights
from diffusion.checkpoints.parameter_names import model_kind
from diffusion.checkpoints.pytorch import wrong_file_error
from diffusion.checkpoints.safetensors import TensorEntry, open_safetensors
from diffusion.checkpoints.weights import ParameterSource, Weights
from diffusion.errors import ModelFormatError, ModelNotFoundError, Shape
from diffusion.models.fields import MAX_CHANNELS, MAX_LAYERS
from diffusion.models.image_prompts import IpAdapterConfig, ResamplerConfig
from diffusion.models.image_prompts.projections import HEAD_WIDTH

__all__ = ["SeparateIpAdapter", "is_ip_adapter", "open_ip_adapter"]

Entries = Mapping[str, TensorEntry]

_HINT: Final = "name an IP-Adapter's .safetensors file"
_OTHER: Final = "give an IP-Adapter that was made for this model's family"
_FACE: Final = (
    "a FaceID adapter reads what a face recognition network (insightface) makes of a face, which "
    "is not here; take ip-adapter-plus-face or ip-adapter-full-face"
)
_MOST_TOKENS: Final = 1024


@dataclass(frozen=True)
class SeparateIpAdapter:
    """An opened IP-Adapter; no tensor of it is read yet."""

    config: IpAdapterConfig
    weights: Weights


def is_ip_adapter(names: Collection[str]) -> bool:
    """Tell whether a file's names are those of an IP-Adapter."""
    return any(
        name.startswith(("image_proj.", "ip_adapter.")) or is_diffusers_name(name) for name in names
    )


def open_ip_adapter(path: str | Path, widths: Sequence[int], context: int) -> SeparateIpAdapter:
    """Open an IP-Adapter for a UNet.

    ``widths``: of its attentions to the prompt, in the order of `cross_places`. ``context``: width
    of the text. Raises ``ModelNotFoundError``, and ``ModelFormatError`` for one of another family.
    """
    path = Path(path)
    with reading(path):
        if not path.exists():
            raise ModelNotFoundError(path, "there is no such IP-Adapter", "check the path")
        if path.suffix.lower() != ".safetensors" or path.is_dir():
            raise wrong_file_error(path, "an IP-Adapter", _HINT)
        weights = _open_weights(path)
        _refuse_faces(weights.entries, path)
        _check_family(weights.entries, widths, context, path)
        return SeparateIpAdapter(_derive_config(weights.entries, widths, context, path), weights)


def _open_weights(path: Path) -> Weights:
    """Return a file's tensors under the authors' names. Raises ``ModelFormatError``."""
    file = open_safetensors(path)
    if not is_ip_adapter(file.names):
        kind = model_kind(file.names) or "a file of an unknown kind"
        raise ModelFormatError(path, "names", f"must be an IP-Adapter, got {kind}", _HINT)
    table = diffusers_names(file.names)
    return StackedWeights(
        path,
        [
            ParameterSource(table.get(name, name), file, name, file.entry(name))
            for name in file.names
            if not table or name in table
        ],
    )


def _refuse_faces(entries: Entries, path: Path) -> None:
    """Raise ``ModelFormatError`` for adapters that read faces' embeddings."""
    has_loras = any(".to_q_lora." in name or ".to_k_lora." in name for name in entries)
    perceives = any(name.startswith("image_proj.perceiver_resampler.") for name in entries)
    norms_tokens = {"image_proj.proj.2.weight", "image_proj.norm.weight"} <= entries.keys()
    if has_loras or perceives or norms_tokens:
        raise ModelFormatError(path, "kind", "must be base, plus or full, got FaceID", _FACE)


def _check_family(entries: Entries, widths: Sequence[int], context: int, path: Path) -> None:
    """Raise ``ModelFormatError`` for an adapter of another family of models."""
    keys = [f"ip_adapter.{2 * index + 1}.to_k_ip.weight" for index in range(len(widths))]
    name = next((each for each in keys if each in entries), None)
    if name is None:
        reason = f"must hold {keys[0] if keys else 'keys'}, and it is missing"
        raise ModelFormatError(path, "names", reason, DOWNLOAD_AGAIN)
    found = _shape(entries, name, 2, path)[1]
    if found != context:
        title = family_title(found)
        made = f"it was made for {title}; " if title else ""
        reason = f"must be {context} as in the model, got {found}"
        raise ModelFormatError(path, "text width", reason, f"{made}{_OTHER}")
    total = sum(key.endswith(".to_k_ip.weight") for key in entries)
    if total != len(widths):
        reason = f"must be {len(widths)} as in the model, got {total}"
        raise ModelFormatError(path, "attentions to the prompt", reason, _OTHER)


def _derive_config(
    entries: Entries, widths: Sequence[int], context: int, path: Path
) -> IpAdapterConfig:
    """Return the config that a file's names and shapes tell. Raises ``ModelFormatError``."""

    def shape(name: str, axes: int) -> Shape:
        return _shape(entries, f"image_proj.{name}", axes, path)

    if "image_proj.latents" in entries:
        _, tokens, width = shape("latents", 3)
        inner = shape("layers.0.0.to_q.weight", 2)[0]
        if inner % HEAD_WIDTH:
            reason = f"must be a multiple of {HEAD_WIDTH}, got {inner}"
            raise ModelFormatError(path, "width of attention", reason, DOWNLOAD_AGAIN)
        depth = next(n for n in count() if f"image_proj.layers.{n}.0.to_q.weight" not in entries)
        hidden = shape("layers.0.1.1.weight", 2)[0]
        inputs = shape("proj_in.weight", 2)[1]
        sizes = ResamplerConfig(width, inner, min(depth, MAX_LAYERS), hidden)
        config = IpAdapterConfig("plus", inputs, tokens, context, tuple(widths), sizes)
    elif "image_proj.proj.3.weight" in entries:
        inputs = shape("proj.0.weight", 2)[1]
        config = IpAdapterConfig("full", inputs, 0, context, tuple(widths))
    elif "image_proj.proj.weight" in entries:
        outputs, inputs = shape("proj.weight", 2)
        config = IpAdapterConfig("base", inputs, outputs // context, context, tuple(widths))
    else:
        reason = "must hold proj.weight, proj.3.weight or latents of an image projection"
        raise ModelFormatError(path, "names", reason, DOWNLOAD_AGAIN)
    sizes_read = (config.inputs, config.tokens, *_sizes(config))
    if max(sizes_read) > MAX_CHANNELS or config.tokens > _MOST_TOKENS:
        reason = f"must be at most {MAX_CHANNELS}, got {max(sizes_read)}"
        raise ModelFormatError(path, "width", reason, DOWNLOAD_AGAIN)
    return config


def _sizes(config: IpAdapterConfig) -> tuple[int, ...]:
    sizes = config.resampler
    return (sizes.width, sizes.inner, sizes.hidden) if sizes else ()


def _shape(entries: Entries, name: str, axes: int, path: Path) -> Shape:
    """Return a tensor's shape, which must have so many axes, none of 0."""
    shape = entries[name].shape if name in entries else ()
    if len(shape) != axes or 0 in shape:
        reason = f"must have {axes} axes, got {list(shape)}" if name in entries else "is missing"
        raise ModelFormatError(path, f"tensor {name!r}", reason, DOWNLOAD_AGAIN)
    return shape
