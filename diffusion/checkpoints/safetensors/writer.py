"""Writing safetensors files, whole or not at all."""

import json
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffusion.checkpoints.safetensors.element_types import NAMES, encode
from diffusion.checkpoints.safetensors.header import ITEM_BYTES, parse_header
from diffusion.drafts import replace_file
from diffusion.errors import OutputError, SettingsError, Shape

WriteObserver = Callable[[str, str, NDArray[Any], NDArray[Any]], None]
"""Takes a tensor's name, its element type in the file, its values and the bits that store them."""


def save_safetensors(
    path: str | os.PathLike[str],
    tensors: Mapping[str, NDArray[Any]],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write arrays, each in its own type; see ``write_safetensors``.

    Raises ``SettingsError`` for an array whose type the format lacks.
    """
    arrays = {name: np.asarray(tensors[name]) for name in tensors}
    for name, array in arrays.items():
        if array.dtype not in NAMES:
            types = ", ".join(sorted(str(dtype) for dtype in NAMES))
            raise SettingsError(f"tensor {name!r}", str(array.dtype), f"must be one of {types}")
    kinds = {name: (NAMES[array.dtype], array.shape) for name, array in arrays.items()}
    write_safetensors(path, kinds, arrays.__getitem__, metadata)


def write_safetensors(
    path: str | os.PathLike[str],
    tensors: Mapping[str, tuple[str, Shape]],
    read: Callable[[str], NDArray[Any]],
    metadata: Mapping[str, str] | None = None,
    observe: WriteObserver | None = None,
) -> None:
    """Write a file that ``open_safetensors`` reads, whole or not at all.

    ``tensors``: element type and shape by name; ``read`` gives each one's values when its turn
    comes, so that one at a time is in memory; ``observe`` is called with each tensor as it is
    written. The bytes go to a temporary file beside ``path``, which then takes its place. Wider
    types come first, so that each tensor lies aligned. Raises ``ModelFormatError`` for names or
    shapes beyond the reader's limits, ``OutputError`` when the disk refuses, and what ``read``
    raises.
    """
    path = Path(path)
    ordered = dict(sorted(tensors.items(), key=lambda item: (-ITEM_BYTES[item[1][0]], item[0])))
    header, data_bytes = _format_header(ordered, metadata or {})
    parse_header(header, path, 8 + len(header), data_bytes)
    try:
        with replace_file(path) as file:
            file.write(len(header).to_bytes(8, "little") + header)
            for name, (dtype, shape) in ordered.items():
                values = read(name)
                stored = encode(dtype, values)
                if stored.shape != shape:
                    raise ValueError(f"{name} must have the shape {shape}, got {stored.shape}")
                if observe is not None:
                    observe(name, dtype, values, stored)
                file.write(np.ascontiguousarray(stored).reshape(-1).view(np.uint8).data)
    except OSError as error:
        hint = "choose a folder that is writable and not full"
        raise OutputError(path, error.strerror or str(error), hint) from error


def _format_header(
    tensors: Mapping[str, tuple[str, Shape]], metadata: Mapping[str, str]
) -> tuple[bytes, int]:
    """Return the header of these tensors, padded to a multiple of 8, and the bytes of data."""
    tree: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    end = 0
    for name, (dtype, shape) in tensors.items():
        start, end = end, end + math.prod(shape) * ITEM_BYTES[dtype]
        tree[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(tree, ensure_ascii=False, separators=(",", ":")).encode()
    return text + b" " * (-len(text) % 8), end
