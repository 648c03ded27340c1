"""The zip archive of a checkpoint: where the bytes of each tensor lie in the file."""

import math
import struct
import zipfile
import zlib
from pickle import UnpicklingError
from typing import BinaryIO, Final

from .machine import read_pickle
from .tensors import axes_order, find_tensors
from .values import Tensor

MAX_PICKLE: Final = 64 * 2**20

_ZIP_ERRORS: Final = (
    OSError,
    EOFError,
    OverflowError,
    RuntimeError,
    ValueError,
    zlib.error,
    struct.error,
)
"""What the module ``zipfile`` raises for damage; ``RuntimeError`` where a password is needed."""


def locate_tensor(
    tensor: Tensor, archive: zipfile.ZipFile, file: BinaryIO, top: str
) -> list[object]:
    """Return ``[dtype, shape, offset, nbytes, axes]`` of a tensor in the file."""
    storage = tensor.storage
    name = f"{top}/data/{storage.key}"
    try:
        entry = archive.getinfo(name)
    except KeyError:
        raise UnpicklingError(f"lacks the data {name[:80]!r}") from None
    if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
        raise UnpicklingError("has its tensors compressed, which PyTorch never does")
    count = math.prod(tensor.shape)
    if tensor.offset + count > storage.numel or storage.numel * storage.itemsize > entry.file_size:
        raise UnpicklingError(f"has a tensor that reaches over the end of {name[:80]!r}")
    file.seek(entry.header_offset)
    header = file.read(30)
    if len(header) != 30 or header[:4] != b"PK\x03\x04":
        raise UnpicklingError(f"has no entry {name[:80]!r} where its directory says")
    start = entry.header_offset + 30 + sum(struct.unpack("<HH", header[26:30]))
    offset = start + tensor.offset * storage.itemsize
    nbytes = count * storage.itemsize
    return [storage.dtype, list(tensor.shape), offset, nbytes, axes_order(tensor)]


def list_tensors(file: BinaryIO) -> dict[str, object]:
    """Return the answer for an opened checkpoint. Raises ``UnpicklingError``."""
    try:
        archive = zipfile.ZipFile(file)
        names = archive.namelist()
        pickles = [name for name in names if name.count("/") == 1 and name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise UnpicklingError("is a zip archive, but no PyTorch checkpoint")
        top = pickles[0].partition("/")[0]
        if f"{top}/byteorder" in names and _read_entry(archive, f"{top}/byteorder") != b"little":
            raise UnpicklingError("was saved on a machine of the other byte order")
        found, skipped = find_tensors(read_pickle(_read_entry(archive, pickles[0])))
        locations = {name: locate_tensor(found[name], archive, file, top) for name in found}
    except (zipfile.BadZipFile, *_ZIP_ERRORS) as error:
        raise UnpicklingError(f"is not a valid zip archive ({type(error).__name__})") from None
    return {"tensors": locations, "skipped": skipped}


def _read_entry(archive: zipfile.ZipFile, name: str) -> bytes:
    """Return an entry's content of bounded size. Raises ``UnpicklingError``."""
    with archive.open(name) as entry:
        content = entry.read(MAX_PICKLE + 1)
    if len(content) > MAX_PICKLE:
        raise UnpicklingError(f"has a pickle of more than {MAX_PICKLE} bytes")
    return content
