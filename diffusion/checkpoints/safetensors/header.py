"""The header of a safetensors file: one JSON object, read by a strict scanner.

    {"__metadata__": {"key": "text"}, "name": {"dtype": "F16", "shape": [2, 3],
     "data_offsets": [0, 12]}, ...}

Format: https://github.com/huggingface/safetensors#format. It is read more strictly than the
reference reader does (a test compares the two). No name may stand twice, nothing may stand before
the brace, and ranks, names, counts and products are bounded.
"""

import math
import re
from typing import NamedTuple

from diffusion.checkpoints.file_kinds import DOWNLOAD_AGAIN
from diffusion.checkpoints.safetensors.element_types import STORED
from diffusion.checkpoints.safetensors.entries import Header, TensorEntry
from diffusion.checkpoints.safetensors.scanner import Scanner
from diffusion.errors import FilePath, ModelFormatError, quote

MAX_TENSORS = 100_000
MAX_METADATA = 10_000
MAX_RANK = 8
MAX_NAME_BYTES = 512
MAX_ELEMENTS = 2**48
"""Bound of a shape's product, with every 0 in it counted as 1."""

ITEM_BYTES = {name: code.itemsize for name, code in STORED.items()}
"""The element types that are read, and their sizes in bytes."""

_DTYPES = {name.encode(): name for name in ITEM_BYTES}
_SIZE = "(?:0|[1-9][0-9]{0,17}+)"
_USUAL = re.compile(
    (
        rf' ?\{{"dtype": ?"({"|".join(ITEM_BYTES)})"'
        rf', ?"shape": ?\[((?:{_SIZE}(?:, ?{_SIZE}){{0,{MAX_RANK - 1}}})?)\]'
        rf', ?"data_offsets": ?\[({_SIZE}), ?({_SIZE})\]\}}'
    ).encode()
)
"""A tensor's object as it is mostly written."""

_NOT_READ = re.compile(r"F4|F6_\w+|F8_\w+|C64")
_RESAVE = "save the model again as F16 or F32 with the safetensors package"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class _Fields(NamedTuple):
    dtype: str
    shape: tuple[int, ...]
    span: tuple[int, ...]


def parse_header(text: bytes, file: FilePath, data_start: int, data_bytes: int) -> Header:
    """Read and check a whole header.

    ``text``: the header's bytes, padding included; ``data_start``: the file offset at which the
    tensors' bytes begin; ``data_bytes``: how many there are. Raises ``ModelFormatError``.
    """
    scanner = Scanner(text, file)
    tensors: dict[str, TensorEntry] = {}
    metadata: dict[str, str] = {}
    if not text.startswith(b"{"):
        scanner.fail("must begin with '{'")
    for name in scanner.members("header"):
        if name == "__metadata__":
            metadata = _read_metadata(scanner)
            continue
        _check_name(scanner, name)
        scanner.where = f"tensor {quote(name)}"
        tensors[name] = _read_entry(scanner, data_start, data_bytes)
        scanner.where = "header"
        if len(tensors) > MAX_TENSORS:
            scanner.fail(f"must have at most {MAX_TENSORS} tensors, got more", _RESAVE)
    scanner.check_end()
    _check_layout(tensors, file, data_start, data_bytes)
    return Header(tensors, metadata)


def _read_metadata(scanner: Scanner) -> dict[str, str]:
    """Read the ``__metadata__`` object: text to text."""
    scanner.where = "__metadata__"
    found: dict[str, str] = {}
    for key in scanner.members("metadata"):
        found[key] = scanner.read_string(quote(key))
        if len(found) > MAX_METADATA:
            scanner.fail(f"must have at most {MAX_METADATA} entries, got more", _RESAVE)
    scanner.where = "header"
    return found


def _check_name(scanner: Scanner, name: str) -> None:
    """Refuse a tensor's name that is too long or holds control characters."""
    if len(name.encode()) > MAX_NAME_BYTES:
        reason = f"a tensor's name must be at most {MAX_NAME_BYTES} bytes long, got a longer one"
        scanner.fail(reason, _RESAVE)
    if _CONTROL.search(name):
        reason = f"a tensor's name must hold no control characters, got {quote(name)}"
        scanner.fail(reason, _RESAVE)


def _read_entry(scanner: Scanner, data_start: int, data_bytes: int) -> TensorEntry:
    """Read one tensor's object. Fields not known to the format are ignored, as the format says."""
    dtype, shape, span = _read_usual_fields(scanner) or _read_fields(scanner)
    if len(span) != 2 or not span[0] <= span[1] <= data_bytes:
        reason = f"must be a span within the {data_bytes} bytes of data, got {list(span)}"
        scanner.fail(reason, field="data_offsets")
    nbytes = math.prod(shape) * ITEM_BYTES[dtype]
    if span[1] - span[0] != nbytes:
        spanned = span[1] - span[0]
        reason = f"must span {nbytes} bytes for {dtype} {list(shape)}, got {spanned}"
        scanner.fail(reason, field="data_offsets")
    return TensorEntry(dtype, shape, data_start + span[0], nbytes)


def _read_usual_fields(scanner: Scanner) -> _Fields | None:
    """Read a tensor's object that is written as the reference package does, in one match.

    Return None, with nothing read, for one that is written otherwise, or wrong.
    """
    found = scanner.take_match(_USUAL)
    if found is None:
        return None
    dtype, shape, *span = found.groups()
    sizes = tuple(map(int, shape.split(b","))) if shape else ()
    return _Fields(_DTYPES[dtype], _check_shape(scanner, sizes), tuple(map(int, span)))


def _read_fields(scanner: Scanner) -> _Fields:
    """Read a tensor's object, with its fields in any order."""
    dtype: str | None = None
    shape: tuple[int, ...] | None = None
    span: tuple[int, ...] | None = None
    for field in scanner.members("tensor"):
        if field == "dtype":
            dtype = _read_dtype(scanner)
        elif field == "shape":
            shape = _read_shape(scanner)
        elif field == "data_offsets":
            span = scanner.read_integers(field, 2)
        else:
            scanner.skip_scalar(quote(field))
    if dtype is None or shape is None or span is None:
        lacks = "dtype" if dtype is None else "shape" if shape is None else "data_offsets"
        scanner.fail("is missing", field=lacks)
    return _Fields(dtype, shape, span)


def _read_dtype(scanner: Scanner) -> str:
    """Read the element type; one string object is shared by all tensors of a type."""
    found = scanner.read_string("dtype")
    for known in ITEM_BYTES:
        if known == found:
            return known
    if _NOT_READ.fullmatch(found):
        scanner.fail(f"must be a supported type, got {quote(found)}", _RESAVE, field="dtype")
    return scanner.fail(f"must be a type of the format, got {quote(found)}", field="dtype")


def _read_shape(scanner: Scanner) -> tuple[int, ...]:
    """Read at most ``MAX_RANK`` sizes whose product, zeros counted as ones, is bounded."""
    return _check_shape(scanner, scanner.read_integers("shape", MAX_RANK))


def _check_shape(scanner: Scanner, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return a shape. Raises ``ModelFormatError`` for one with too many elements."""
    if math.prod(max(size, 1) for size in shape) > MAX_ELEMENTS:
        scanner.fail(f"must have at most 2**48 elements, got {list(shape)}", field="shape")
    return shape


def _check_layout(
    tensors: dict[str, TensorEntry], file: FilePath, data_start: int, data_bytes: int
) -> None:
    """Refuse tensors that do not cover the data from first to last byte, each byte once."""
    end = data_start
    for name, entry in sorted(tensors.items(), key=lambda item: (item[1].offset, item[1].nbytes)):
        if entry.offset != end:
            fault = "an overlap" if entry.offset < end else "a hole"
            reason = f"must begin where the tensor before it ends, got {fault}"
            where = f"tensor {quote(name)}: data_offsets"
            raise ModelFormatError(file, where, reason, DOWNLOAD_AGAIN)
        end += entry.nbytes
    rest = data_start + data_bytes - end
    if rest:
        reason = f"must end with the last tensor, got {rest} bytes after it"
        raise ModelFormatError(file, "data", reason, DOWNLOAD_AGAIN)
