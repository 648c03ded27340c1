"""Scales of 8-bit floats, which stand in a file as tensors of their own.

ComfyUI writes them under two conventions. The older one has ``LAYER.scale_weight`` beside
``LAYER.weight``, and marks the file with a tensor named ``scaled_fp8``. The newer one has
``LAYER.weight_scale``, and names the format in ``LAYER.comfy_quant`` or in the file's metadata.
Scales of activations (``scale_input``, ``input_scale``) count for products in 8 bits alone.
Sources: ComfyUI, ``QUANTIZATION.md``, ``comfy/ops.py``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from diffusion.checkpoints.json_files import parse_json_object
from diffusion.checkpoints.safetensors.element_types import BLOCKS, FLOATING
from diffusion.checkpoints.safetensors.entries import Header, TensorEntry
from diffusion.checkpoints.safetensors.reader import SafetensorsFile
from diffusion.errors import NAME_LENGTH, ModelFormatError, list_items, quote

__all__ = ["with_scales"]

_SCALES: Final = ("scale_weight", "weight_scale")
_UNUSED: Final = re.compile(r"(?:.*\.)?(?:scaled_fp8|scale_input|input_scale|comfy_quant)")
_QUANT: Final = ".comfy_quant"
_METADATA: Final = "_quantization_metadata"
_FORMATS: Final = ("float8_e4m3fn", "float8_e5m2")
_MOST_BYTES: Final = 4096
_HINT: Final = "get the model with 8-bit floats (float8_e4m3fn, float8_e5m2), as GGUF, or in f16"


def with_scales(file: SafetensorsFile) -> SafetensorsFile:
    """Return the file with each scale in the entry of its weight, and no other trace of scales.

    A file without any is returned as it is. Raises ``ModelFormatError`` for quantised formats that
    are not read, and for scales that do not fit.
    """
    marked = [name for name in file.names if _is_mark(name)]
    if not marked and _METADATA not in file.metadata:
        return file
    _check_formats(file)
    entries = {name: entry for name, entry in file.entries.items() if not _is_mark(name)}
    for name in marked:
        layer, _, kind = name.rpartition(".")
        if kind in _SCALES:
            weight = f"{layer}.weight"
            if weight not in entries:
                reason = f"must stand beside {quote(weight, NAME_LENGTH)}, which is missing"
                raise _scale_error(file, name, reason)
            scale = _fit_scale(file, name, entries[weight])
            entries[weight] = replace(entries[weight], scale=scale)
    notes = {key: text for key, text in file.metadata.items() if key != _METADATA}
    return file.with_header(Header(entries, notes))


def _is_mark(name: str) -> bool:
    """Tell whether a tensor is a scale, or marks quantised ones."""
    return name.endswith(tuple(f".{each}" for each in _SCALES)) or bool(_UNUSED.fullmatch(name))


def _fit_scale(file: SafetensorsFile, name: str, weight: TensorEntry) -> TensorEntry:
    """Return a scale's entry in the shape () or (rows,)."""
    scale = file.entries[name]
    if weight.dtype not in BLOCKS:
        raise _scale_error(file, name, f"must belong to 8-bit floats, got {weight.dtype}")
    if scale.dtype not in FLOATING:
        raise _scale_error(file, name, f"must hold floats, got {scale.dtype}")
    if scale.shape in ((), (1,)):
        return scale.reshape()
    rows = weight.shape[:1]
    if rows and scale.shape[:1] == rows and math.prod(scale.shape) == rows[0]:
        return scale.reshape(*rows)
    reason = f"must have the shape [], [1] or {[*rows, 1]}, got {list(scale.shape)}"
    raise _scale_error(file, name, reason)


def _scale_error(file: SafetensorsFile, name: str, reason: str) -> ModelFormatError:
    return ModelFormatError(file.path, f"tensor {quote(name, NAME_LENGTH)}", reason, _HINT)


def _check_formats(file: SafetensorsFile) -> None:
    """Refuse quantised formats that are not read, naming them and some of their layers."""
    wrong: dict[str, list[str]] = {}
    for layer, form in (*_stated_formats(file), *_noted_formats(file)):
        if form not in _FORMATS:
            wrong.setdefault(quote(form), []).append(quote(layer, NAME_LENGTH))
    for form, layers in wrong.items():
        reason = list_items(f"must be of the formats {', '.join(_FORMATS)}, got {form} in", layers)
        raise ModelFormatError(file.path, "quantised layers", reason, _HINT)


def _stated_formats(file: SafetensorsFile) -> Iterator[tuple[str, object]]:
    """Yield layers and formats as tensors of JSON tell them."""
    for name, entry in file.entries.items():
        if name.endswith(_QUANT):
            if entry.dtype != "U8" or entry.nbytes > _MOST_BYTES:
                reason = f"must be at most {_MOST_BYTES} bytes of JSON, got {entry.dtype}"
                raise _scale_error(file, name, reason)
            tree = parse_json_object(file.read_entry(entry).tobytes(), file.path)
            yield name.removesuffix(_QUANT), tree.get("format")


def _noted_formats(file: SafetensorsFile) -> Iterator[tuple[str, object]]:
    """Yield layers and formats as the metadata tells them."""
    text = file.metadata.get(_METADATA)
    if text is None:
        return
    layers = parse_json_object(text.encode(), file.path).get("layers")
    if not isinstance(layers, dict):
        raise ModelFormatError(file.path, _METADATA, "must have an object 'layers'", _HINT)
    for layer, tree in layers.items():
        yield str(layer), tree.get("format") if isinstance(tree, dict) else tree
