"""Writing a model in another layout: a folder as a single file, and a single file as a folder.

Tensors are copied one at a time, so that a model of any size needs little memory. A single file
gets the folder's configs in its metadata, so that converting it back gives the same folder. Every
function here warns of infinities and NaN in what it writes.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from diffusion.checkpoints.file_kinds import DOWNLOAD_AGAIN
from diffusion.checkpoints.json_files import CONFIG_LIMIT, parse_json_object, read_bounded
from diffusion.checkpoints.model_folder import ModelFolder, Part
from diffusion.checkpoints.model_index import ENCODERS
from diffusion.checkpoints.nonfinite import NonFiniteCounter
from diffusion.checkpoints.parameter_names import IGNORED_NAMES
from diffusion.checkpoints.part_files import TOKENIZER_LIMIT
from diffusion.checkpoints.safetensors import (
    SafetensorsFile,
    TensorEntry,
    WriteObserver,
    write_safetensors,
)
from diffusion.checkpoints.safetensors.element_types import FLOATING, WEIGHTS
from diffusion.checkpoints.single_file import CONFIG_KEY
from diffusion.checkpoints.single_file.families import UNET_PREFIX, VAE_PREFIX
from diffusion.checkpoints.single_file.module_names import is_vae_projection, unet_names, vae_names
from diffusion.checkpoints.single_file.name_pairs import NamePairs
from diffusion.checkpoints.single_file.open_clip import open_clip_name, open_clip_names
from diffusion.checkpoints.weights import Weights
from diffusion.drafts import draft_folder
from diffusion.errors import ModelFormatError, OutputError, Shape, quote

SingleFileName = Callable[[str], tuple[str, int | None] | None]
"""Takes a parameter's name; returns its name in a single file, and its third of that tensor.

The result is None for a name that single files lack, the third None for a whole tensor.
"""

_METADATA: Final = {"format": "pt"}
"""The metadata of weights that other tools expect."""

_TOKENIZER_FILES: Final = ("merges.txt", "vocab.json")
_TOKENIZER_CONFIG: Final = "tokenizer_config.json"
_OPTIONAL_TOKENIZER_FILES: Final = ("special_tokens_map.json", _TOKENIZER_CONFIG)


class Parameter(NamedTuple):
    """One parameter: the weights that hold it, and its name in them."""

    weights: Weights
    name: str

    @property
    def entry(self) -> TensorEntry:
        """The type, shape and place of the tensor."""
        return self.weights.entries[self.name]


def save_tensors(file: SafetensorsFile, path: Path, dtype: str | None = None) -> None:
    """Copy all tensors of a file, names unchanged.

    ``dtype``: element type of the weights in the copy, None for their own. Raises ``OutputError``.
    """
    counter = NonFiniteCounter(path)
    tensors = {
        name: (_stored_type(entry, dtype), entry.shape) for name, entry in file.entries.items()
    }
    write_safetensors(path, tensors, file.read, dict(file.metadata) or _METADATA, counter.count)
    counter.warn()


def save_single(model: ModelFolder, path: Path, dtype: str | None = None) -> None:
    """Write a model as a single file. Raises ``ModelFormatError``, ``OutputError``."""
    tensors, counter = SingleTensors(model), NonFiniteCounter(path)
    write_safetensors(path, tensors.layout(dtype), tensors.read, tensors.notes, counter.count)
    counter.warn()


class SingleTensors:
    """The tensors of the single file that a model makes, under that file's names.

    ``notes``: the file's metadata, with the folder's configs.
    """

    def __init__(self, model: ModelFolder) -> None:
        self._parameters = _single_tensors(model)
        self._shapes = {name: _single_shape(name, p) for name, p in self._parameters.items()}
        self.notes: Mapping[str, str] = {**_METADATA, CONFIG_KEY: json.dumps(_configs(model))}

    def layout(self, dtype: str | None = None) -> dict[str, tuple[str, Shape]]:
        """Return the element type and shape of each tensor; ``dtype``: None for their own."""
        return {
            name: (_common_type(parameters, dtype), self._shapes[name])
            for name, parameters in self._parameters.items()
        }

    def read(self, name: str) -> NDArray[Any]:
        """Return the values of a tensor."""
        return _read_tensor(self._parameters[name]).reshape(self._shapes[name])


def _single_tensors(model: ModelFolder) -> dict[str, list[Parameter]]:
    """Return the parameters that make up each tensor of a single file: one, or three in order."""
    parts: dict[str, dict[int, Parameter]] = {}
    for part, prefix, namer in _parts(model):
        weights = model.weights(part)
        for name in sorted(weights.entries.keys() - IGNORED_NAMES):
            found = namer(name)
            if found is None:
                reason = "must have a name in single files, got none"
                hint = "only whole Stable Diffusion models can be one file"
                raise ModelFormatError(weights.path, quote(name), reason, hint)
            parts.setdefault(prefix + found[0], {})[found[1] or 0] = Parameter(weights, name)
    return {name: [thirds[i] for i in sorted(thirds)] for name, thirds in parts.items()}


def save_folder(model: ModelFolder, path: Path, dtype: str | None = None) -> None:
    """Write a model as a folder, whole or not at all; ``path`` must not exist.

    Raises ``OutputError``.
    """
    counters: list[NonFiniteCounter] = []
    try:
        with draft_folder(path.parent) as draft:
            for name, tree in _configs(model).items():
                (draft / name).parent.mkdir(exist_ok=True)
                (draft / name).write_text(json.dumps(tree, indent=2) + "\n", encoding="utf-8")
            for part, _, _ in _parts(model):
                stem = "model" if part in ENCODERS else "diffusion_pytorch_model"
                counters.append(NonFiniteCounter(path / part))
                file = draft / part / f"{stem}.safetensors"
                _save_part(model.weights(part), file, dtype, counters[-1].count)
            for encoder, source in model.tokenizers.items():
                _save_tokenizer(source, draft / ENCODERS[encoder], model.padding(encoder))
            draft.rename(path)
    except OSError as error:
        hint = "choose a folder that does not exist yet, on a disk that is writable and not full"
        raise OutputError(path, error.strerror or str(error), hint) from error
    for counter in counters:
        counter.warn()


def _save_tokenizer(source: Path, target: Path, padding: str | None) -> None:
    """Copy a tokenizer; a ``padding`` token other than the files' own is named in its config."""
    target.mkdir()
    for name in (*_TOKENIZER_FILES, *(_OPTIONAL_TOKENIZER_FILES if padding is None else ())):
        if name in _TOKENIZER_FILES or (source / name).exists():
            (target / name).write_bytes(_read_tokenizer_file(source / name))
    if padding is not None:
        text = json.dumps({"pad_token": padding, "tokenizer_class": "CLIPTokenizer"}, indent=2)
        (target / _TOKENIZER_CONFIG).write_text(text + "\n", encoding="utf-8")


def _read_tokenizer_file(path: Path) -> bytes:
    """Return a file of a tokenizer; it may be a link to a file that is none of a tokenizer's.

    Raises ``ModelFormatError`` where it is no JSON object, or, of merges, no text.
    """
    limit = TOKENIZER_LIMIT if path.name in _TOKENIZER_FILES else CONFIG_LIMIT
    content = read_bounded(path, limit)
    if path.suffix == ".json":
        parse_json_object(content, path)
    elif not content.startswith(b"#version") and any(
        len(line.split()) not in (0, 2) for line in content.splitlines()
    ):
        raise ModelFormatError(path, "merges", "must be lines of two tokens", DOWNLOAD_AGAIN)
    return content


def _save_part(weights: Weights, file: Path, dtype: str | None, observe: WriteObserver) -> None:
    """Write one part's tensors."""
    tensors = {
        name: (_stored_type(entry, dtype), entry.shape)
        for name, entry in weights.entries.items()
        if name not in IGNORED_NAMES
    }
    write_safetensors(file, tensors, weights.read, _METADATA, observe)


def _configs(model: ModelFolder) -> dict[str, object]:
    """Return the model's JSON files by name."""
    names = ["model_index.json", "scheduler/scheduler_config.json"]
    names += [f"{part}/config.json" for part, _, _ in _parts(model)]
    return {name: model.json(name)[0] for name in names}


def _parts(model: ModelFolder) -> Iterator[tuple[Part, str, SingleFileName]]:
    """Yield each part with weights, its prefix in a single file, and how its names change."""
    unet, vae = model.unet, model.vae
    names = unet_names(unet.down_block_types, unet.up_block_types, unet.layers_per_block)
    yield "unet", UNET_PREFIX, _pair_namer(names)
    names = vae_names(len(vae.block_out_channels), vae.layers_per_block)
    yield "vae", VAE_PREFIX, _pair_namer(names)
    for part, text in model.text_encoders.items():
        if model.is_xl:
            index = 1 if part == "text_encoder_2" and len(model.text_encoders) == 2 else 0
            prefix, is_open_clip = f"conditioner.embedders.{index}.", part == "text_encoder_2"
        else:
            prefix, is_open_clip = "cond_stage_model.", text.hidden_act != "quick_gelu"
        if is_open_clip:
            yield part, f"{prefix}model.", _open_clip_namer(text.num_hidden_layers)
        else:
            yield part, f"{prefix}transformer.", lambda name: (name, None)


def _open_clip_namer(layers: int) -> SingleFileName:
    """Return how names of open_clip's text encoder change."""
    names = open_clip_names(layers)
    return lambda name: open_clip_name(name, names)


def _pair_namer(names: NamePairs) -> SingleFileName:
    """Return how the names in a table change."""

    def single_name(name: str) -> tuple[str, None] | None:
        single = names.single(name)
        return None if single is None else (single, None)

    return single_name


def _single_shape(name: str, parameters: list[Parameter]) -> Shape:
    """Return the shape of a tensor in a single file, given the parameters it is made of."""
    shape = parameters[0].entry.shape
    if parameters[0].name == "text_projection.weight":
        return shape[::-1]
    if name.startswith(VAE_PREFIX) and is_vae_projection(parameters[0].name) and len(shape) == 2:
        return (*shape, 1, 1)
    return (len(parameters) * shape[0], *shape[1:]) if shape else shape


def _read_tensor(parameters: list[Parameter]) -> NDArray[Any]:
    """Return the values of a tensor in a single file."""
    arrays = [each.weights.read(each.name) for each in parameters]
    if parameters[0].name == "text_projection.weight":
        return np.ascontiguousarray(arrays[0].T)
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _stored_type(entry: TensorEntry, dtype: str | None) -> str:
    """Return the element type to store; only weights change theirs.

    Blocks, which safetensors lacks, and 8-bit floats with a scale become F16.
    """
    if entry.dtype not in WEIGHTS:
        return entry.dtype
    plain = entry.dtype in FLOATING and entry.scale is None
    return dtype or (entry.dtype if plain else "F16")


def _common_type(parameters: list[Parameter], dtype: str | None) -> str:
    """Return the element type of parameters stored as one tensor: F32 where they differ."""
    types = {_stored_type(each.entry, dtype) for each in parameters}
    return types.pop() if len(types) == 1 else "F32"
