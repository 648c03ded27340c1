"""Writing a model in another layout: a folder as a single file, and a single file as a folder.

Tensors pass through one at a time, so that a model of any size needs little memory. A single file
gets the folder's configs in its metadata, so that the way back gives the same folder.
"""

import json
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from diffusion.checkpoints.element_types import FLOATING
from diffusion.checkpoints.folder import ENCODERS, ModelFolder, Part
from diffusion.checkpoints.header import TensorEntry
from diffusion.checkpoints.names import IGNORED_NAMES
from diffusion.checkpoints.nonfinite import Losses
from diffusion.checkpoints.safetensors import Note, SafetensorsFile, write_safetensors
from diffusion.checkpoints.single_file import CONFIG_KEY
from diffusion.checkpoints.single_file_configs import UNET, VAE
from diffusion.checkpoints.single_file_names import (
    NamePairs,
    fused_open_clip,
    is_vae_projection,
    open_clip_names,
    unet_names,
    vae_names,
)
from diffusion.checkpoints.weights import Weights
from diffusion.errors import ModelFormatError, OutputError, Shape, quoted

Namer = Callable[[str], tuple[str, int | None] | None]
"""A parameter's name in a single file, and which third of that tensor it is."""

_NOTES: Final = {"format": "pt"}
"""What readers of the field expect in the metadata of weights."""

_NEEDED: Final = ("merges.txt", "vocab.json")
_SPECIAL: Final = ("special_tokens_map.json", "tokenizer_config.json")
"""The files of a tokenizer; the last two may be absent."""


class Kept(NamedTuple):
    """One parameter: which of the weights holds it, and under which name."""

    weights: Weights
    name: str

    @property
    def entry(self) -> TensorEntry:
        return self.weights.entries[self.name]


def save_tensors(file: SafetensorsFile, path: Path, dtype: str | None = None) -> None:
    """Copy all tensors of a file, names unchanged.

    ``dtype``: element type that numbers become, None for their own. Warns of infinities and NaN,
    as all here do. Raises ``OutputError``.
    """
    losses = Losses(path)
    tensors = {name: (_chosen(entry, dtype), entry.shape) for name, entry in file.entries.items()}
    write_safetensors(path, tensors, file.read, dict(file.metadata) or _NOTES, losses.note)
    losses.tell()


def save_single(model: ModelFolder, path: Path, dtype: str | None = None) -> None:
    """Write a model as a single file. Raises ``ModelFormatError``, ``OutputError``."""
    joined, losses = _single_tensors(model), Losses(path)
    tensors = single_layout(model, dtype)
    notes = {**_NOTES, CONFIG_KEY: json.dumps(_configs(model))}

    def read(name: str) -> NDArray[Any]:
        return _joined(joined[name]).reshape(tensors[name][1])

    write_safetensors(path, tensors, read, notes, losses.note)
    losses.tell()


def single_layout(model: ModelFolder, dtype: str | None = None) -> dict[str, tuple[str, Shape]]:
    """Element type and shape of each tensor of the single file that ``save_single`` writes."""
    joined = _single_tensors(model)
    return {name: (_common(kept, dtype), _shape(name, kept)) for name, kept in joined.items()}


def _single_tensors(model: ModelFolder) -> dict[str, list[Kept]]:
    """What each tensor of a single file is made of: a parameter, or three in their order."""
    parts: dict[str, dict[int, Kept]] = {}
    for part, prefix, namer in _parts(model):
        weights = model.weights(part)
        for name in weights.entries.keys() - IGNORED_NAMES:
            found = namer(name)
            if found is None:
                reason = "has no name in a single file"
                hint = "only whole Stable Diffusion models can be one file"
                raise ModelFormatError(weights.path, quoted(name), reason, hint)
            parts.setdefault(prefix + found[0], {})[found[1] or 0] = Kept(weights, name)
    return {name: [thirds[i] for i in sorted(thirds)] for name, thirds in parts.items()}


def save_folder(model: ModelFolder, path: Path, dtype: str | None = None) -> None:
    """Write a model as a folder, whole or not at all; ``path`` must be free.

    Raises ``OutputError``.
    """
    losses: list[Losses] = []
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        draft.mkdir(parents=True)
        for name, tree in _configs(model).items():
            (draft / name).parent.mkdir(exist_ok=True)
            (draft / name).write_text(json.dumps(tree, indent=2) + "\n", encoding="utf-8")
        for part, _, _ in _parts(model):
            stem = "model" if part in ENCODERS else "diffusion_pytorch_model"
            losses.append(Losses(path / part))
            file = draft / part / f"{stem}.safetensors"
            _save_part(model.weights(part), file, dtype, losses[-1].note)
        for encoder, place in model.tokenizers.items():
            _save_tokenizer(place, draft / ENCODERS[encoder], model.padding(encoder))
        draft.rename(path)
    except OSError as error:
        hint = "choose a folder that does not exist yet, on a disk that is writable and not full"
        raise OutputError(path, error.strerror or str(error), hint) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    for each in losses:
        each.tell()


def _save_tokenizer(source: Path, target: Path, padding: str | None) -> None:
    """Copy a tokenizer; ``padding`` is named in its config where it is not the files' own."""
    target.mkdir()
    for name in (*_NEEDED, *(_SPECIAL if padding is None else ())):
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)
    if padding is not None:
        text = json.dumps({"pad_token": padding, "tokenizer_class": "CLIPTokenizer"}, indent=2)
        (target / _SPECIAL[1]).write_text(text + "\n", encoding="utf-8")


def _save_part(weights: Weights, file: Path, dtype: str | None, note: Note) -> None:
    tensors = {
        name: (_chosen(entry, dtype), entry.shape)
        for name, entry in weights.entries.items()
        if name not in IGNORED_NAMES
    }
    write_safetensors(file, tensors, weights.read, _NOTES, note)


def _configs(model: ModelFolder) -> dict[str, object]:
    """The model's JSON files by name."""
    names = ["model_index.json", "scheduler/scheduler_config.json"]
    names += [f"{part}/config.json" for part, _, _ in _parts(model)]
    return {name: model.json(name)[0] for name in names}


def _parts(model: ModelFolder) -> Iterator[tuple[Part, str, Namer]]:
    """Each part with weights, its prefix in a single file, and how its names go over."""
    unet, vae = model.unet, model.vae
    names = unet_names(unet.down_block_types, unet.up_block_types, unet.layers_per_block)
    yield "unet", UNET, _plain(names)
    yield "vae", VAE, _plain(vae_names(len(vae.block_out_channels), vae.layers_per_block))
    for part, text in model.text_encoders.items():
        if model.is_xl:
            place = 1 if part == "text_encoder_2" and len(model.text_encoders) == 2 else 0
            prefix, bare = f"conditioner.embedders.{place}.", part == "text_encoder_2"
        else:
            prefix, bare = "cond_stage_model.", text.hidden_act != "quick_gelu"
        if bare:
            yield part, f"{prefix}model.", _open_clip(text.num_hidden_layers)
        else:
            yield part, f"{prefix}transformer.", lambda name: (name, None)


def _open_clip(layers: int) -> Namer:
    names = open_clip_names(layers)
    return lambda name: fused_open_clip(name, names)


def _plain(names: NamePairs) -> Namer:
    def name_of(name: str) -> tuple[str, None] | None:
        single = names.single(name)
        return None if single is None else (single, None)

    return name_of


def _shape(name: str, kept: list[Kept]) -> Shape:
    """The shape in a single file, where it is not the parameter's own."""
    shape = kept[0].entry.shape
    if kept[0].name == "text_projection.weight":
        return shape[::-1]
    if name.startswith(VAE) and is_vae_projection(kept[0].name) and len(shape) == 2:
        return (*shape, 1, 1)
    return (len(kept) * shape[0], *shape[1:]) if shape else shape


def _joined(kept: list[Kept]) -> NDArray[Any]:
    """The values of a tensor in a single file."""
    arrays = [each.weights.read(each.name) for each in kept]
    if kept[0].name == "text_projection.weight":
        return np.ascontiguousarray(arrays[0].T)
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _chosen(entry: TensorEntry, dtype: str | None) -> str:
    """The element type to store; only weights change theirs."""
    return dtype if dtype is not None and entry.dtype in FLOATING else entry.dtype


def _common(kept: list[Kept], dtype: str | None) -> str:
    """The element type of parameters that are stored as one tensor: F32 where they differ."""
    types = {_chosen(each.entry, dtype) for each in kept}
    return types.pop() if len(types) == 1 else "F32"
