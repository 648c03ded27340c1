"""The header of a GGUF file: key-value pairs, and the type, shape and place of each tensor.

It is read as strictly as ggml reads it, and more: names, counts, ranks, products and the header's
size are bounded. Nested arrays, which ggml does not read, are refused. Of arrays only shapes are
kept, as ComfyUI-GGUF writes them (``comfy.gguf.orig_shape.NAME``).
"""

from __future__ import annotations

import math
import re
import struct
from dataclasses import dataclass, field
from typing import Final

from diffusion.checkpoints.gguf.cursor import SCALARS, STRING, Cursor
from diffusion.checkpoints.gguf.types import TENSOR_TYPES, TensorType
from diffusion.checkpoints.safetensors import Header, TensorEntry
from diffusion.checkpoints.safetensors.header import (
    MAX_ELEMENTS,
    MAX_METADATA,
    MAX_NAME_BYTES,
    MAX_RANK,
    MAX_TENSORS,
)
from diffusion.errors import Shape, quote
from gpucore.integers import ceil_div

__all__ = ["ALIGNMENT", "SHAPE_KEY", "VERSIONS", "parse_header"]

VERSIONS: Final = (2, 3)
ALIGNMENT: Final = 32
"""Where a file says nothing else, tensors begin at multiples of this many bytes."""
SHAPE_KEY: Final = "comfy.gguf.orig_shape."
"""The key of the shape, in PyTorch's order, of a tensor that is stored in another one."""

_ALIGNMENT_KEY: Final = "general.alignment"
_MOST_ALIGNMENT: Final = 2**20
_MOST_DIMENSIONS: Final = 4
_MOST_KEY_BYTES: Final = 1024
_UINT32, _INT32, _ARRAY = 4, 5, 9
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_OTHER_VERSION: Final = "get the model as GGUF version 3, or as safetensors"


@dataclass
class _Notes:
    """The key-value pairs: values as text, and short arrays of integers."""

    texts: dict[str, str] = field(default_factory=dict)
    shapes: dict[str, Shape] = field(default_factory=dict)
    alignment: int = ALIGNMENT


@dataclass(frozen=True)
class _Info:
    """A tensor's name, type, stored shape, and offset from the start of the data."""

    name: str
    kind: TensorType
    shape: Shape
    offset: int

    @property
    def nbytes(self) -> int:
        """The bytes of the tensor's blocks."""
        return math.prod(self.shape) // self.kind.elements * self.kind.nbytes


def parse_header(cursor: Cursor, size: int) -> Header:
    """Read and check a whole header, from the version on.

    ``size``: of the file. Raises ``ModelFormatError``.
    """
    _check_version(cursor)
    tensors = cursor.count(24, MAX_TENSORS, "count of tensors")
    pairs = cursor.count(13, MAX_METADATA, "count of pairs")
    notes = _Notes()
    seen: set[str] = set()
    for _ in range(pairs):
        _read_pair(cursor, notes, seen)
    infos = [_read_info(cursor) for _ in range(tensors)]
    cursor.where = "header"
    start = ceil_div(cursor.at, notes.alignment) * notes.alignment
    return Header(_place_all(cursor, infos, notes, start, size), notes.texts)


def _check_version(cursor: Cursor) -> None:
    version = cursor.number("I", "version")
    if version in VERSIONS:
        return
    if version and version & 0xFFFF == 0:
        reason = "must be little-endian, got a file for big-endian machines"
    else:
        reason = f"must be 2 or 3, got {version}"
    cursor.fail(reason, _OTHER_VERSION, "version")


def _read_pair(cursor: Cursor, notes: _Notes, seen: set[str]) -> None:
    """Read a key and its value."""
    cursor.where = "header"
    key = cursor.text(_MOST_KEY_BYTES, "key")
    _check_name(cursor, key, "a key")
    if key in seen:
        cursor.fail(f"keys must be unique, got {quote(key)} twice")
    seen.add(key)
    cursor.where = f"key {quote(key)}"
    kind = cursor.number("I", "type")
    if kind == _ARRAY:
        _read_array(cursor, key, notes)
    elif kind == STRING or kind in SCALARS:
        notes.texts[key] = cursor.value(kind, cursor.rest, "value")
        if key == _ALIGNMENT_KEY:
            notes.alignment = _check_alignment(cursor, kind, notes.texts[key])
    else:
        cursor.fail(f"must be a type from 0 to 12, got {kind}", field="type")


def _check_alignment(cursor: Cursor, kind: int, text: str) -> int:
    """Return the alignment. The format asks for multiples of 8, ggml for powers of two."""
    alignment = int(text) if kind == _UINT32 else 0
    if not 8 <= alignment <= _MOST_ALIGNMENT or alignment & (alignment - 1):
        cursor.fail(f"must be a power of two from 8 to 2**20, as u32, got {quote(text)}")
    return alignment


def _read_array(cursor: Cursor, key: str, notes: _Notes) -> None:
    """Step over an array, or keep it where it is a tensor's shape."""
    kind = cursor.number("I", "type of elements")
    if kind == STRING:
        for _ in range(cursor.count(8, cursor.rest, "count of elements")):
            cursor.skip(cursor.count(1, cursor.rest, "length of an element"), "element")
        return
    if kind not in SCALARS:
        reason = f"must be the type of a scalar or string, got {kind}"
        cursor.fail(reason, field="type of elements")
    each = struct.calcsize(SCALARS[kind])
    count = cursor.count(each, cursor.rest, "count of elements")
    if not key.startswith(SHAPE_KEY):
        cursor.skip(each * count, "elements")
        return
    if kind != _INT32 or not 1 <= count <= MAX_RANK:
        cursor.fail(f"must be 1 to {MAX_RANK} numbers of type i32, got {count} of type {kind}")
    shape = struct.unpack(f"<{count}i", cursor.take(each * count, "elements"))
    if min(shape) < 1:
        cursor.fail(f"must be sizes above 0, got {list(shape)}")
    notes.shapes[key.removeprefix(SHAPE_KEY)] = shape


def _check_name(cursor: Cursor, name: str, what: str) -> None:
    """Refuse an empty name, and one with control characters."""
    if not name:
        cursor.fail(f"{what} must have at least one character, got none")
    if _CONTROL.search(name):
        cursor.fail(f"{what} must hold no control characters, got {quote(name)}")


def _read_info(cursor: Cursor) -> _Info:
    """Read one tensor's name, shape, type and offset."""
    cursor.where = "tensors"
    name = cursor.text(MAX_NAME_BYTES, "name")
    _check_name(cursor, name, "a tensor's name")
    cursor.where = f"tensor {quote(name)}"
    rank = cursor.number("I", "count of dimensions")
    if rank > _MOST_DIMENSIONS:
        reason = f"must be at most {_MOST_DIMENSIONS}, got {rank}"
        cursor.fail(reason, field="count of dimensions")
    # The fastest axis comes first in the file, and last here.
    shape = tuple(cursor.number("Q", "dimensions") for _ in range(rank))[::-1]
    if math.prod(max(size, 1) for size in shape) > MAX_ELEMENTS:
        cursor.fail(f"must have at most 2**48 elements, got {list(shape)}", field="dimensions")
    number = cursor.number("I", "type")
    kind = TENSOR_TYPES.get(number)
    if kind is None:
        cursor.fail(f"must be a type of ggml that is known here, got {number}", field="type")
    if (shape[-1] if shape else 1) % kind.elements:
        reason = f"must end with a multiple of {kind.elements} for {kind.name}, got {list(shape)}"
        cursor.fail(reason, field="dimensions")
    return _Info(name, kind, shape, cursor.number("Q", "offset"))


def _place_all(
    cursor: Cursor, infos: list[_Info], notes: _Notes, start: int, size: int
) -> dict[str, TensorEntry]:
    """Return the tensors by name; each must begin where the one before it ends, padded."""
    entries: dict[str, TensorEntry] = {}
    end = start
    for info in infos:
        cursor.where = f"tensor {quote(info.name)}"
        if info.name in entries:
            cursor.fail("names must be unique, got this one twice")
        begin = ceil_div(end, notes.alignment) * notes.alignment
        if start + info.offset != begin:
            reason = f"must be {begin - start}, the end of the tensor before it, got {info.offset}"
            cursor.fail(reason, field="offset")
        end = begin + info.nbytes
        if end > size:
            reason = f"must end within the file's {size} bytes, got {end}"
            cursor.fail(reason, field="data")
        shape = _true_shape(cursor, info, notes)
        entries[info.name] = TensorEntry(info.kind.name, shape, begin, info.nbytes)
    if infos and size - end >= notes.alignment:
        cursor.where = "data"
        cursor.fail(f"must end with the last tensor, got {size - end} bytes after it")
    return entries


def _true_shape(cursor: Cursor, info: _Info, notes: _Notes) -> Shape:
    """Return a tensor's shape, which a note may give."""
    shape = notes.shapes.get(info.name, info.shape)
    if math.prod(shape) != math.prod(info.shape):
        reason = f"must be as many elements as {list(info.shape)}, got {list(shape)}"
        cursor.fail(reason, field=SHAPE_KEY + "...")
    return shape
