"""Reading and writing safetensors files, which are taken for hostile until checked.

A file is ``<u64 little-endian n><n bytes of JSON header><data>``. Opening it reads and checks the
whole header (:mod:`diffusion.checkpoints.header`) against the file's true size and keeps no file
handle; each read opens the file anew, makes sure that it is still the same one and copies the
bytes out. Nothing is mapped into memory, so a file that shrinks in mid-read gives an error and
never a signal. Nothing in the file is used as a path.
"""

import json
import math
import os
import secrets
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from diffusion.checkpoints.element_types import NAMES, STORED, decode, encode
from diffusion.checkpoints.file_kinds import AGAIN, PROBE_BYTES, look_alike
from diffusion.checkpoints.header import ITEM_BYTES, Header, TensorEntry, parse_header
from diffusion.errors import (
    ModelFormatError,
    ModelNotFoundError,
    OutputError,
    SettingsError,
    Shape,
)

HEADER_LIMIT: Final = 16 * 2**20
"""A header of more bytes than this is refused unless the caller allows more."""

HEADER_CEILING: Final = 100_000_000
"""The format's own limit, which no caller may pass."""

Note = Callable[[str, str, NDArray[Any], NDArray[Any]], None]
"""Takes a tensor's name, its element type in the file, its values and the bits that store them."""

_Identity = tuple[int, int, int, int]


class SafetensorsFile:
    """An opened, wholly checked safetensors file; made by :func:`open_safetensors`.

    Holds the header, no data and no handle, so it needs no closing and threads may share it.
    """

    def __init__(self, path: Path, header: Header, identity: _Identity) -> None:
        self.path = path
        self.names: tuple[str, ...] = tuple(header.tensors)
        self.entries: Mapping[str, TensorEntry] = MappingProxyType(header.tensors)
        self.metadata: Mapping[str, str] = MappingProxyType(header.metadata)
        self._identity = identity

    def __repr__(self) -> str:
        return f"SafetensorsFile({str(self.path)!r}, {len(self.names)} tensors)"

    def entry(self, name: str) -> TensorEntry:
        """Type, shape and place of a tensor. ``KeyError`` for a name that is not there."""
        return self.entries[name]

    def read(self, name: str) -> NDArray[Any]:
        """Copy a tensor out of the file; see ``read_entry``."""
        return self.read_entry(self.entries[name])

    def read_entry(self, entry: TensorEntry) -> NDArray[Any]:
        """Copy out a tensor, or the part of one that ``entry`` describes.

        BF16 comes back as float32 and F8 as float16, exactly; BOOL as ``bool``, any byte but 0
        being true; all others in their own type. Raises ``ModelFormatError`` if the file has
        changed since it was opened.
        """
        stored = np.empty(entry.stored_shape, STORED[entry.dtype])
        try:
            with open_regular(self.path) as file:
                self._check_unchanged(file)
                file.seek(entry.offset)
                _fill(file, stored, self.path)
                self._check_unchanged(file)
        except ModelNotFoundError as error:
            raise _changed(self.path) from error
        values = decode(entry.dtype, stored)
        return values if entry.axes is None else values.transpose(entry.axes)

    def _check_unchanged(self, file: FileIO) -> None:
        if identity_of(os.fstat(file.fileno())) != self._identity:
            raise _changed(self.path)


def open_safetensors(
    path: str | os.PathLike[str], *, header_limit: int = HEADER_LIMIT
) -> SafetensorsFile:
    """Open a file and check its whole header before anything is sized from it.

    ``header_limit``: the greatest header read, in bytes, at most 100 000 000. Raises
    ``ModelNotFoundError`` or ``ModelFormatError``.
    """
    if not 2 <= header_limit <= HEADER_CEILING:
        raise SettingsError("header_limit", header_limit, f"it may be 2 to {HEADER_CEILING}")
    path = Path(path)
    with open_regular(path) as file:
        status = os.fstat(file.fileno())
        length = _header_length(file, path, status.st_size, header_limit)
        text = file.read(length)
        if len(text) != length:
            raise _changed(path)
    start = 8 + length
    header = parse_header(text, path, start, status.st_size - start)
    return SafetensorsFile(path, header, identity_of(status))


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
            raise SettingsError(f"tensor {name!r}", str(array.dtype), f"it may be one of {types}")
    kinds = {name: (NAMES[array.dtype], array.shape) for name, array in arrays.items()}
    write_safetensors(path, kinds, arrays.__getitem__, metadata)


def write_safetensors(
    path: str | os.PathLike[str],
    tensors: Mapping[str, tuple[str, Shape]],
    read: Callable[[str], NDArray[Any]],
    metadata: Mapping[str, str] | None = None,
    note: Note | None = None,
) -> None:
    """Write a file that :func:`open_safetensors` takes, whole or not at all.

    ``tensors``: element type and shape by name; ``read`` gives each one's values when its turn
    comes, so that one at a time is in memory; ``note`` is shown what becomes of it. The bytes go to
    a temporary file beside ``path`` that then takes its place. Wider types come first, so that each
    tensor lies aligned. Raises ``ModelFormatError`` for names or shapes beyond the reader's
    limits, ``OutputError`` when the disk refuses, and what ``read`` raises.
    """
    path = Path(path)
    ordered = dict(sorted(tensors.items(), key=lambda item: (-ITEM_BYTES[item[1][0]], item[0])))
    header, data_bytes = _header_text(ordered, metadata or {})
    parse_header(header, path, 8 + len(header), data_bytes)
    try:
        with _replacing(path) as file:
            file.write(len(header).to_bytes(8, "little") + header)
            for name, (dtype, shape) in ordered.items():
                values = read(name)
                stored = encode(dtype, values)
                if stored.shape != shape:
                    raise ValueError(f"{name} has the shape {stored.shape} and not {shape}")
                if note is not None:
                    note(name, dtype, values, stored)
                file.write(np.ascontiguousarray(stored).reshape(-1).view(np.uint8).data)
    except OSError as error:
        hint = "choose a folder that is writable and not full"
        raise OutputError(path, error.strerror or str(error), hint) from error


def open_regular(path: Path) -> FileIO:
    """Open a plain file for reading; a pipe or a device would block or never end."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            kind = "a folder" if path.is_dir() else "no plain file"
            raise ModelFormatError(path, "file", f"is {kind}", "name a .safetensors file")
        return path.open("rb", buffering=0)
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        raise ModelNotFoundError(path, "there is no such file", "check the path") from error
    except OSError as error:
        reason = f"cannot be opened: {error.strerror}"
        raise ModelFormatError(path, "file", reason, "check the path and its rights") from error


def identity_of(status: os.stat_result) -> _Identity:
    """What tells one state of a file from another: device, number, size, time of last change."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _changed(path: Path) -> ModelFormatError:
    reason = "has changed since it was opened"
    return ModelFormatError(path, "file", reason, "load the model again once it is complete")


def _header_length(file: FileIO, path: Path, size: int, limit: int) -> int:
    """Read the length field and look at the first brace; leaves the cursor at the header."""
    start = file.read(PROBE_BYTES)
    length = int.from_bytes(start[:8], "little")
    file.seek(8)
    field = "header length"
    if size == 0:
        reason = "is empty, so the download failed"
    elif size < 10:
        reason = f"is {size} bytes long, too short for a safetensors file"
    elif length < 2:
        reason = f"says that the header has {length} bytes, and the shortest has 2"
    elif length > size - 8:
        reason = f"says that the header has {length} bytes, and {size - 8} follow"
    elif length > limit:
        reason = f"says that the header has {length} bytes, and at most {limit} are read"
    elif start[8:9] != b"{":
        field, reason = "header", f"begins with byte {start[8]:#04x} and not with '{{'"
    else:
        return length
    kind = look_alike(start)
    if kind is not None:
        raise ModelFormatError(path, "file", *kind)
    raise ModelFormatError(path, field, reason, AGAIN)


def _fill(file: FileIO, array: NDArray[Any], path: Path) -> None:
    """Read exactly the array's bytes; the system may hand them over in several parts."""
    view = array.reshape(-1).view(np.uint8).data
    while view:
        count = file.readinto(view)
        if not count:
            raise _changed(path)
        view = view[count:]


def _header_text(
    tensors: Mapping[str, tuple[str, Shape]], metadata: Mapping[str, str]
) -> tuple[bytes, int]:
    """The header of these tensors in this order, padded to a multiple of 8; the data's bytes."""
    tree: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    end = 0
    for name, (dtype, shape) in tensors.items():
        start, end = end, end + math.prod(shape) * ITEM_BYTES[dtype]
        tree[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(tree, ensure_ascii=False, separators=(",", ":")).encode()
    return text + b" " * (-len(text) % 8), end


@contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """A new file beside ``path``, flushed to the disk and renamed over it at the end."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with draft.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
