"""Reading and writing safetensors files, which are taken for hostile until checked.

A file is ``<u64 little-endian n><n bytes of JSON header><data>``. Opening it reads and checks the
whole header (:mod:`diffusion.checkpoints.header`) against the file's true size and keeps no file
handle; each read opens the file anew, makes sure that it is still the same one and copies the
bytes out. Nothing is mapped into memory, so a file that shrinks in mid-read gives an error and
never a signal. Nothing in the file is used as a path.
"""

import json
import os
import secrets
import stat
from collections.abc import Mapping
from io import FileIO
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from diffusion.checkpoints.header import Header, TensorEntry, parse_header
from diffusion.checkpoints.lookalikes import AGAIN, PROBE_BYTES, look_alike
from diffusion.errors import ModelFormatError, ModelNotFoundError, OutputError, SettingsError

HEADER_LIMIT: Final = 16 * 2**20
"""A header of more bytes than this is refused unless the caller allows more."""

HEADER_CEILING: Final = 100_000_000
"""The format's own limit, which no caller may pass."""

_NUMPY_TYPES: Final = {
    "BOOL": "u1",
    "U8": "u1",
    "I8": "i1",
    "U16": "<u2",
    "I16": "<i2",
    "F16": "<f2",
    "BF16": "<u2",
    "U32": "<u4",
    "I32": "<i4",
    "F32": "<f4",
    "U64": "<u8",
    "I64": "<i8",
    "F64": "<f8",
}
_STORED_TYPES: Final = {
    np.dtype(code): name for name, code in _NUMPY_TYPES.items() if name not in ("BOOL", "BF16")
} | {np.dtype(np.bool_): "BOOL"}

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
        """Copy a tensor out of the file.

        BF16 comes back as float32, exactly; BOOL as ``bool``, any byte but 0 being true; all
        others in their own type. Raises ``ModelFormatError`` if the file has changed since it
        was opened.
        """
        entry = self.entries[name]
        stored = np.empty(entry.shape, np.dtype(_NUMPY_TYPES[entry.dtype]))
        try:
            with _open_regular(self.path) as file:
                self._check_unchanged(file)
                file.seek(entry.offset)
                _fill(file, stored, self.path)
                self._check_unchanged(file)
        except ModelNotFoundError as error:
            raise _changed(self.path) from error
        if entry.dtype == "BF16":
            return (stored.astype(np.uint32) << np.uint32(16)).view(np.float32)
        return stored.astype(np.bool_) if entry.dtype == "BOOL" else stored

    def _check_unchanged(self, file: FileIO) -> None:
        if _identity(os.fstat(file.fileno())) != self._identity:
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
    with _open_regular(path) as file:
        status = os.fstat(file.fileno())
        length = _header_length(file, path, status.st_size, header_limit)
        text = file.read(length)
        if len(text) != length:
            raise _changed(path)
    start = 8 + length
    header = parse_header(text, path, start, status.st_size - start)
    return SafetensorsFile(path, header, _identity(status))


def save_safetensors(
    path: str | os.PathLike[str],
    tensors: Mapping[str, NDArray[Any]],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write a file that :func:`open_safetensors` takes, whole or not at all.

    The bytes go to a temporary file beside ``path`` that then takes its place. Wider types come
    first, so that each tensor lies aligned. Raises ``SettingsError`` for an array whose type the
    format lacks, ``ModelFormatError`` for names or shapes beyond the reader's limits and
    ``OutputError`` when the disk refuses.
    """
    path = Path(path)
    arrays = {name: np.asarray(tensors[name]) for name in tensors}
    for name, array in arrays.items():
        if array.dtype not in _STORED_TYPES:
            types = ", ".join(sorted(str(dtype) for dtype in _STORED_TYPES))
            raise SettingsError(f"tensor {name!r}", str(array.dtype), f"it may be one of {types}")
    ordered = dict(sorted(arrays.items(), key=lambda item: (-item[1].dtype.itemsize, item[0])))
    header = _header_text(ordered, metadata or {})
    data_bytes = sum(array.nbytes for array in ordered.values())
    parse_header(header, path, 8 + len(header), data_bytes)
    try:
        _write(path, header, ordered)
    except OSError as error:
        raise OutputError(
            path, str(error.strerror), "choose a folder that is writable and not full"
        ) from error


def _open_regular(path: Path) -> FileIO:
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


def _identity(status: os.stat_result) -> _Identity:
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


def _header_text(tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> bytes:
    """The header of these tensors in this order, padded with spaces to a multiple of 8."""
    tree: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    end = 0
    for name, array in tensors.items():
        span = [end, end + array.nbytes]
        dtype = _STORED_TYPES[array.dtype]
        tree[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": span}
        end = span[1]
    text = json.dumps(tree, ensure_ascii=False, separators=(",", ":")).encode()
    return text + b" " * (-len(text) % 8)


def _write(path: Path, header: bytes, tensors: Mapping[str, NDArray[Any]]) -> None:
    """Write beside ``path``, flush to the disk, then rename over it."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with draft.open("xb") as file:
            file.write(len(header).to_bytes(8, "little") + header)
            for array in tensors.values():
                file.write(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
