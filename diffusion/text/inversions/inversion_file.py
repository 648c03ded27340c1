"""Reading the vectors of a word, in every layout that the field writes.

===========================================  =====================================================
``emb_params`` (n, d)                        kohya-ss/sd-scripts
``string_to_param.*`` (n, d)                 the WebUI's, converted from its ``.pt``
``<token>`` (d,) or (n, d), the only tensor  diffusers, whose word is the tensor's name
``clip_l`` (n, d), ``clip_g`` (n, e)         for the two text encoders of SDXL
``emp_params`` (n, d)                        OneTrainer's for one text encoder
one of these and the same with ``_out``      vectors of the encoder's output (OneTrainer)
``bundle_emb.WORD.`` and one of these        within a LoRA (the WebUI's pull request 13568)
===========================================  =====================================================
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from diffusion.checkpoints.nonfinite import count_nonfinite
from diffusion.checkpoints.safetensors import SafetensorsFile, TensorEntry, open_safetensors
from diffusion.checkpoints.safetensors.element_types import FLOATING
from diffusion.checkpoints.safetensors.regular_file import open_regular
from diffusion.checkpoints.single_file.families import FAMILIES
from diffusion.errors import ModelFormatError, ModelMismatchError, list_items, quote
from diffusion.prompts import LearnedWord

__all__ = [
    "bundled_words",
    "hash_of_inversion",
    "read_bundled",
    "read_inversion",
    "shape_of_inversion",
    "token_of",
]

Array = NDArray[np.float32]
Widths = Mapping[str, int]
"""Widths of the embeddings of a model's text encoders, by part and in order."""

_ENCODERS: Final = {"clip_l": "text_encoder", "clip_g": "text_encoder_2"}
_BUNDLE: Final = "bundle_emb."
_TERMS: Final = "string_to_param."
_KOHYA: Final = "emb_params"
_ONETRAINER: Final = "emp_params"
_AFTER: Final = {f"{key}_out": key for key in (*_ENCODERS, _KOHYA, _ONETRAINER)}
"""Vectors that replace an encoder's output, beside those that its tokens have (zeros)."""
_BESIDE: Final = "string_to_token."
"""The WebUI's files have the number of the token that was trained, too."""
_HEADER_LIMIT: Final = 100_000_000
"""Of a LoRA, whose header may have tens of megabytes."""
_LARGEST: Final = float(np.finfo(np.float16).max)
_OTHER: Final = "give an embedding that was made for this model's family"
_DAMAGED: Final = "download the file again"


def read_inversion(path: Path, word: str, widths: Widths, most: int) -> LearnedWord:
    """Return the word of a file. ``most``: vectors that a chunk of a prompt has room for.

    Raises `ModelNotFoundError`, `ModelFormatError`, and `ModelMismatchError` for a file that was
    made for another family of models.
    """
    file = open_safetensors(path)
    entries = {name: name for name in file.names}
    found = _read_vectors(file, entries, widths, most)
    return LearnedWord(word, found.vectors, hash_of_inversion(path), found.outputs)


def hash_of_inversion(path: Path) -> str:
    """Return 12 hexadecimal digits of a file's SHA-256, as in the WebUI. Raises `ModelError`."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]


def bundled_words(path: Path) -> list[str]:
    """Return the words that a LoRA's file brings along. Raises `ModelError`."""
    names = open_safetensors(path, header_limit=_HEADER_LIMIT).names
    return sorted({_split_bundled(name)[0] for name in names if name.startswith(_BUNDLE)})


def read_bundled(path: Path, word: str, widths: Widths, most: int) -> LearnedWord:
    """Return a word that a LoRA's file brings along. Raises as `read_inversion`."""
    file = open_safetensors(path, header_limit=_HEADER_LIMIT)
    entries = {}
    for name in file.names:
        if name.startswith(_BUNDLE) and _split_bundled(name)[0] == word:
            entries[_split_bundled(name)[1]] = name
    found = _read_vectors(file, entries, widths, most)
    return LearnedWord(word, found.vectors, outputs=found.outputs)


def token_of(path: Path) -> str | None:
    """Return the token that diffusers named in a file, None where it names none.

    Raises `ModelError`.
    """
    names = open_safetensors(path).names
    if (
        len(names) != 1
        or names[0] in (_KOHYA, _ONETRAINER, *_ENCODERS)
        or names[0].startswith(_TERMS)
    ):
        return None
    return names[0]


def shape_of_inversion(path: Path) -> tuple[int, int]:
    """Return how many vectors a file has, and their width over all text encoders.

    It reads the header alone. Raises `ModelError`.
    """
    file = open_safetensors(path)
    entries = {name: name for name in file.names}
    keys = [key for key in _ENCODERS if key in entries]
    keys = keys or [_only_key(file, _without_outputs(entries))]
    shapes = [file.entry(key).shape for key in keys]
    if any(not 1 <= len(shape) <= 2 for shape in shapes):
        reason = f"must be vectors, got {[list(shape) for shape in shapes]}"
        raise ModelFormatError(path, "shapes", reason, "give a file of textual inversion")
    return shapes[0][0] if len(shapes[0]) == 2 else 1, sum(shape[-1] for shape in shapes)


def _split_bundled(name: str) -> tuple[str, str]:
    """Return the word and the rest of a name such as ``bundle_emb.WORD.string_to_param.*``."""
    inner = name.removeprefix(_BUNDLE)
    for layout in (f".{_TERMS}", f".{_KOHYA}", *(f".{key}" for key in _ENCODERS)):
        word, found, rest = inner.partition(layout)
        if found:
            return word, layout[1:] + rest
    word, _, rest = inner.rpartition(".")
    return word, rest


def _without_outputs(entries: Mapping[str, str]) -> dict[str, str]:
    """Return the tensors that are no vectors of an encoder's output."""
    return {key: name for key, name in entries.items() if _AFTER.get(key) not in entries}


class _Vectors(NamedTuple):
    """Hold a word's vectors for each text encoder, and those that replace its output."""

    vectors: tuple[Array, ...]
    outputs: tuple[Array | None, ...]


def _read_vectors(
    file: SafetensorsFile, entries: Mapping[str, str], widths: Widths, most: int
) -> _Vectors:
    """Return the vectors for each text encoder. ``entries``: the tensors' names, by key."""
    found = _sort_by_encoder(file, _without_outputs(entries), widths)
    after = {key: entries.get(f"{key}_out") for key in found}
    checked = [(entries[key], width) for key, width in found.items()]
    checked += [(name, found[key]) for key, name in after.items() if name is not None]
    wrong = [
        (name, (1 if len(shape) != 2 else shape[0], width), shape)
        for name, width in checked
        if (shape := file.entry(name).shape)[-1:] != (width,) or len(shape) > 2
    ]
    if wrong:
        raise ModelMismatchError(file.path, _family_hint(file, entries), misshapen=wrong)
    read = {name: _read_tensor(file, name, most) for name, _ in checked}
    if len({len(each) for each in read.values()}) != 1:
        counts = " and ".join(str(len(each)) for each in read.values())
        reason = f"must have as many vectors for each text encoder, got {counts}"
        raise ModelFormatError(file.path, "shapes", reason, _DAMAGED)
    outputs = tuple(None if name is None else read[name] for name in after.values())
    return _Vectors(tuple(read[entries[key]] for key in found), outputs)


def _sort_by_encoder(
    file: SafetensorsFile, entries: Mapping[str, str], widths: Widths
) -> dict[str, int]:
    """Return the keys of the tensors for each text encoder, in order, with their widths."""
    named = {key: part for key, part in _ENCODERS.items() if key in entries}
    if not named:
        key = _only_key(file, entries)
        if len(widths) > 1:
            raise ModelMismatchError(
                file.path, _family_hint(file, entries), missing=list(_ENCODERS)
            )
        return dict.fromkeys([key], *widths.values())
    unread = [entries[key] for key in entries if key not in _ENCODERS]
    # The refiner has the second encoder alone, and takes its share of a pair.
    idle = [entries[key] for key, part in named.items() if part not in widths]
    if unread or (idle and "text_encoder_2" not in widths):
        raise ModelMismatchError(file.path, _family_hint(file, entries), extra=unread or idle)
    by_part = {part: key for key, part in named.items()}
    missing = [key for key, part in _ENCODERS.items() if part in widths and part not in by_part]
    if missing:
        raise ModelMismatchError(file.path, _family_hint(file, entries), missing=missing)
    return {by_part[part]: width for part, width in widths.items()}


def _only_key(file: SafetensorsFile, entries: Mapping[str, str]) -> str:
    """Return the key of a file's one tensor. Raises `ModelFormatError`."""
    keys = [key for key in entries if not key.startswith(_BESIDE)]
    terms = [key for key in keys if key.startswith(_TERMS)]
    for chosen in ([_KOHYA] if _KOHYA in keys else [], terms, keys):
        if len(chosen) == 1:
            return chosen[0]
    names = list_items("got", [quote(entries[key]) for key in keys]) or "got none"
    reason = f"must be the vectors of one word, {names}"
    raise ModelFormatError(file.path, "names", reason, "give a file of textual inversion")


def _family_hint(file: SafetensorsFile, entries: Mapping[str, str]) -> str:
    """Return what a file was made for, and what to do."""
    titles = [_family_of(entries.keys(), file.entries)]
    return "; ".join([*(f"it was made for {each}" for each in titles if each), _OTHER])


def _family_of(keys: Iterable[str], tensors: Mapping[str, TensorEntry]) -> str:
    """Return the family of the models that a file was made for; "" where that is not known."""
    widths = {entry.shape[-1] for entry in tensors.values() if entry.shape}
    if set(keys) & set(_ENCODERS):
        return "Stable Diffusion XL"
    return next((each.title for each in FAMILIES if each.text_width in widths), "")


def _read_tensor(file: SafetensorsFile, name: str, most: int) -> Array:
    """Return checked vectors (count, width). Raises `ModelFormatError`, `ModelMismatchError`."""
    entry = file.entry(name)
    count = entry.shape[0] if len(entry.shape) == 2 else 1
    if entry.dtype not in FLOATING:
        raise ModelMismatchError(file.path, _DAMAGED, mistyped=[(name, entry.dtype)])
    where = f"tensor {quote(name)}"
    if not 1 <= count <= most:
        reason = f"must be 1 to {most} vectors, which a chunk of a prompt has room for, got {count}"
        raise ModelFormatError(file.path, where, reason, "give another file")
    vectors = np.asarray(file.read(name), np.float64).reshape(count, -1)
    if count_nonfinite(vectors) or np.abs(vectors).max(initial=0) > _LARGEST:
        reason = f"must be finite numbers of at most {_LARGEST:g}"
        raise ModelFormatError(file.path, where, reason, _DAMAGED)
    return vectors.astype(np.float32)
