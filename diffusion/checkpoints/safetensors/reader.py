"""Reading safetensors files, which are taken for hostile until checked.

A file is ``<u64 little-endian n><n bytes of JSON header><data>``. Opening it reads the whole header
(`diffusion.checkpoints.safetensors.header`), checks it against the file's true size and keeps no
file handle. Each read opens the file anew, makes sure that it is still the same one and copies the
bytes out. Nothing is mapped into memory, so a file that shrinks in mid-read gives an error and
never a signal. Nothing in the file is used as a path.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from diffusion.checkpoints.file_errors import reading
from diffusion.checkpoints.file_kinds import (
    DOWNLOAD_AGAIN,
    PROBE_BYTES,
    SAFETENSORS,
    recognise_file,
)
from diffusion.checkpoints.safetensors.element_types import BLOCKS, STORED, decode
from diffusion.checkpoints.safetensors.entries import Header, TensorEntry
from diffusion.checkpoints.safetensors.header import parse_header
from diffusion.checkpoints.safetensors.regular_file import (
    FileIdentity,
    file_changed,
    identity_of,
    open_regular,
)
from diffusion.checkpoints.safetensors.room import room_for
from diffusion.errors import ModelFormatError, ModelNotFoundError, SettingsError
from gpustd.quantization import QuantizedTensor, dequantize

HEADER_LIMIT: Final = 16 * 2**20
"""A header of more bytes than this is refused unless the caller allows more."""

HEADER_CEILING: Final = 100_000_000
"""The format's own limit, which no caller may pass."""


class SafetensorsFile:
    """An opened, wholly checked safetensors file; made by :func:`open_safetensors`.

    Holds the header, no data and no handle, so it needs no closing and threads may share it.
    """

    def __init__(self, path: Path, header: Header, identity: FileIdentity) -> None:
        self.path = path
        self.names: tuple[str, ...] = tuple(header.tensors)
        self.entries: Mapping[str, TensorEntry] = MappingProxyType(header.tensors)
        self.metadata: Mapping[str, str] = MappingProxyType(header.metadata)
        self._identity = identity

    def __repr__(self) -> str:
        return f"SafetensorsFile({str(self.path)!r}, {len(self.names)} tensors)"

    def with_header(self, header: Header) -> "SafetensorsFile":
        """Return the same file with other names, shapes or notes."""
        return SafetensorsFile(self.path, header, self._identity)

    def entry(self, name: str) -> TensorEntry:
        """Return a tensor's type, shape and place. Raises ``KeyError`` for an absent name."""
        return self.entries[name]

    def read(self, name: str) -> NDArray[Any]:
        """Copy a tensor out of the file; see ``read_entry``."""
        return self.read_entry(self.entries[name])

    def read_entry(self, entry: TensorEntry) -> NDArray[Any]:
        """Copy out a tensor, or the part of one that ``entry`` describes.

        BF16 comes back as float32 and F8 as float16, exactly; blocks of ggml, and F8 with a scale,
        as float32; BOOL as ``bool``, any byte but 0 being true; all others in their own type.
        Raises ``ModelFormatError`` if the file has changed since it was opened.
        """
        return self._decode(entry, self.read_bytes(entry))

    def read_several(self, names: Iterable[str]) -> list[NDArray[Any]]:
        """Copy tensors out of the file, which is opened once; see ``read_entry``."""
        entries = [self.entries[name] for name in names]
        stored = [room_for(entry.nbytes) for entry in entries]
        with self.reads() as read:
            for entry, target in zip(entries, stored, strict=True):
                read(entry, target)
        return list(map(self._decode, entries, stored))

    def _decode(self, entry: TensorEntry, stored: NDArray[np.uint8]) -> NDArray[Any]:
        """Return the values of a tensor's bytes."""
        if entry.dtype in STORED:
            bits = stored.view(STORED[entry.dtype]).reshape(entry.stored_shape)
            values = decode(entry.dtype, bits)
        else:
            values = dequantize(stored, BLOCKS[entry.dtype]).reshape(entry.stored_shape)
        if entry.scale is not None:
            values = values.astype(np.float32) * self._scale(entry, values.ndim)
        return values if entry.axes is None else values.transpose(entry.axes)

    def read_quantized(self, entry: TensorEntry) -> QuantizedTensor | NDArray[Any]:
        """Copy out a tensor as it is stored, where its type is of blocks or 8-bit floats.

        All others, and matrices that are stored transposed, come as `read_entry` gives them.
        """
        if entry.dtype not in BLOCKS or entry.axes not in (None, tuple(range(len(entry.shape)))):
            return self.read_entry(entry)
        scale = None if entry.scale is None else self._scale(entry, 1)
        blocks = self.read_bytes(entry)
        return QuantizedTensor(BLOCKS[entry.dtype], entry.shape, blocks, scale)

    def _scale(self, entry: TensorEntry, rank: int) -> NDArray[np.float32]:
        """Return the factors of ``entry``, with ``rank`` axes where there is one for each row."""
        assert entry.scale is not None
        scale = self.read_entry(entry.scale).astype(np.float32)
        return scale.reshape(-1, *[1] * (rank - 1)) if entry.scale.shape else scale

    def read_bytes(self, entry: TensorEntry) -> NDArray[np.uint8]:
        """Copy out the bytes of a tensor.

        Raises ``ModelFormatError`` if the file has changed since it was opened.
        """
        stored = room_for(entry.nbytes)
        with self.reads() as read:
            read(entry, stored)
        return stored

    @contextmanager
    def reads(self) -> Iterator[Callable[[TensorEntry, NDArray[Any]], None]]:
        """Open the file; give a function that copies a tensor's bytes into a contiguous array.

        Raises ``ModelFormatError`` if the file has changed since `open_safetensors`.
        """
        try:
            with reading(self.path), open_regular(self.path) as file:

                def read(entry: TensorEntry, target: NDArray[Any]) -> None:
                    file.seek(entry.offset)
                    _fill(file, target, self.path)

                self._check_unchanged(file)
                yield read
                self._check_unchanged(file)
        except ModelNotFoundError as error:
            raise file_changed(self.path) from error

    def _check_unchanged(self, file: FileIO) -> None:
        """Raise ``ModelFormatError`` if ``file`` is not the one whose header was read."""
        if identity_of(os.fstat(file.fileno())) != self._identity:
            raise file_changed(self.path)


def open_safetensors(
    path: str | os.PathLike[str], *, header_limit: int = HEADER_LIMIT
) -> SafetensorsFile:
    """Open a file and check its whole header before anything is sized from it.

    ``header_limit``: the greatest header read, in bytes, at most 100 000 000. Raises
    ``ModelNotFoundError`` or ``ModelFormatError``.
    """
    if not 2 <= header_limit <= HEADER_CEILING:
        raise SettingsError("header_limit", header_limit, f"give 2 to {HEADER_CEILING} bytes")
    path = Path(path)
    with reading(path), open_regular(path) as file:
        status = os.fstat(file.fileno())
        length = _read_header_length(file, path, status.st_size, header_limit)
        text = file.read(length)
        if len(text) != length:
            raise file_changed(path)
    start = 8 + length
    header = parse_header(text, path, start, status.st_size - start)
    return SafetensorsFile(path, header, identity_of(status))


def _read_header_length(file: FileIO, path: Path, size: int, limit: int) -> int:
    """Read the length field, check the first brace, and leave the cursor at the header."""
    start = file.read(PROBE_BYTES)
    length = int.from_bytes(start[:8], "little")
    file.seek(8)
    field = "header length"
    if size == 0:
        reason = "is empty, so the download failed"
    elif size < 10:
        reason = f"must be followed by a header, got a file of {size} bytes"
    elif not 2 <= length <= size - 8:
        reason = f"must be from 2 to the {size - 8} bytes that follow, got {length}"
    elif length > limit:
        reason = f"must be at most {limit} bytes, got {length}"
    elif start[8:9] != b"{":
        field, reason = "header", f"must begin with '{{', got byte {start[8]:#04x}"
    else:
        return length
    kind = recognise_file(start)
    if kind not in (None, SAFETENSORS):
        raise ModelFormatError(path, "file", *kind)
    raise ModelFormatError(path, field, reason, DOWNLOAD_AGAIN)


def _fill(file: FileIO, array: NDArray[Any], path: Path) -> None:
    """Read exactly the array's bytes; the system may hand them over in several parts."""
    view = array.reshape(-1).view(np.uint8).data
    while view:
        count = file.readinto(view)
        if not count:
            raise file_changed(path)
        view = view[count:]
