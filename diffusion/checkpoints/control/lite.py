"""Names and configs of ControlNet-LLLite, as kohya-ss/sd-scripts writes them.

A file holds modules named after layers of the UNet, dots as underscores:
``lllite_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from diffusion.checkpoints.file_kinds import DOWNLOAD_AGAIN
from diffusion.checkpoints.model_folder import ModelFolder
from diffusion.checkpoints.safetensors import TensorEntry
from diffusion.checkpoints.single_file.module_names import unet_names
from diffusion.checkpoints.weights import Weights
from diffusion.errors import ModelFormatError, Shape, quote
from diffusion.models.lite import AttentionPlace, LiteConfig, LitePlace, attention_places
from diffusion.models.unet_config import UNetConfig

__all__ = ["is_lite", "lite_config"]

_PREFIX: Final = "lllite_unet_"
_CONVOLUTIONS: Final = ("conditioning1.0", "conditioning1.2", "conditioning1.4")
_MOST_NAMED: Final = 5
_HINT: Final = "give a ControlNet-LLLite that was made for this model's family"

Entries = Mapping[str, TensorEntry]


def is_lite(names: Iterable[str]) -> bool:
    """Tell whether tensors' names are those of a ControlNet-LLLite."""
    return any(name.startswith(_PREFIX) for name in names)


def lite_config(weights: Weights, model: ModelFolder) -> LiteConfig:
    """Return the config of a file by its names and shapes. Raises ``ModelFormatError``.

    Modules at other layers than queries, keys and values of the features are an error.
    """
    entries, path = weights.entries, weights.path
    modules = dict.fromkeys(name.partition(".")[0] for name in entries)
    known = _spell_places(model.unet)
    unknown = [name for name in modules if name not in known]
    if unknown:
        named = ", ".join(map(quote, unknown[:_MOST_NAMED]))
        reason = (
            f"must name q, k or v of attentions in the model, got {len(unknown)} others: {named}"
        )
        raise ModelFormatError(path, "names", reason, _HINT)
    order = {place: number for number, place in enumerate(dict.fromkeys(known.values()))}
    places: dict[AttentionPlace, str] = {}
    for name in modules:
        if places.setdefault(known[name], name) != name:
            reason = (
                f"must have one module for each layer, got {quote(places[known[name]])} as well"
            )
            raise ModelFormatError(path, f"module {quote(name)}", reason, DOWNLOAD_AGAIN)
    found = sorted(places, key=order.__getitem__)
    return LiteConfig(tuple(_read_place(places[each], each, entries, path) for each in found))


def _spell_places(unet: UNetConfig) -> dict[str, AttentionPlace]:
    """Return the layers that may be changed, by their names in files.

    A layer's name is that of single files, or that of diffusers.
    """
    table = unet_names(unet.down_block_types, unet.up_block_types, unet.layers_per_block)
    found = {}
    for place in attention_places(unet):
        for name in (table.single(place.layer), place.layer):
            if name is not None:
                found[_PREFIX + name.replace(".", "_")] = place
    return found


def _read_place(name: str, place: AttentionPlace, entries: Entries, path: Path) -> LitePlace:
    """Return a module's widths. Raises ``ModelFormatError``."""
    embeddings, kernels = [], []
    for number, convolution in enumerate(_CONVOLUTIONS):
        full = f"{name}.{convolution}.weight"
        if number and full not in entries:
            break
        shape = _shape(entries, full, 4, path)
        if shape[2] != shape[3]:
            reason = f"must have a square kernel, got {list(shape)}"
            raise ModelFormatError(path, f"tensor {quote(full)}", reason, DOWNLOAD_AGAIN)
        embeddings.append(shape[0])
        kernels.append(shape[2])
    rank = _shape(entries, f"{name}.down.0.weight", 2, path)[0]
    return LitePlace(name, place, tuple(embeddings), tuple(kernels), rank)


def _shape(entries: Entries, name: str, axes: int, path: Path) -> Shape:
    """Return a tensor's shape, of so many axes, none of them empty. Raises ``ModelFormatError``."""
    shape = entries[name].shape if name in entries else ()
    if len(shape) != axes or 0 in shape:
        reason = f"must have {axes} axes, none of them 0, got {list(shape)}"
        raise ModelFormatError(path, f"tensor {quote(name)}", reason, DOWNLOAD_AGAIN)
    return shape
