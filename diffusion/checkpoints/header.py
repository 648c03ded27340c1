"""The header of a safetensors file: one JSON object, read by a strict scanner of its own.

    {"__metadata__": {"key": "text"}, "name": {"dtype": "F16", "shape": [2, 3],
     "data_offsets": [0, 12]}, ...}

A general JSON reader would build whatever tree the text asks for; this scanner knows the one
shape that may be there and refuses the rest at the first wrong byte, so a small file cannot make
a large structure. Format: https://github.com/huggingface/safetensors#format. Stricter than the
reference reader (which a test compares it with): no name twice, nothing before the brace, rank,
names, counts and products bounded.
"""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

from diffusion.checkpoints.element_types import STORED
from diffusion.checkpoints.file_kinds import AGAIN
from diffusion.errors import FilePath, ModelFormatError, quoted

MAX_TENSORS = 100_000
MAX_METADATA = 10_000
MAX_RANK = 8
MAX_NAME_BYTES = 512
MAX_ELEMENTS = 2**48
"""Bound of a shape's product, with every 0 in it counted as 1."""

ITEM_BYTES = {name: code.itemsize for name, code in STORED.items()}
"""The element types that are read, and their sizes in bytes."""

_NOT_READ = re.compile(r"F4|F6_\w+|F8_\w+|C64")
_RESAVE = "save the model again as F16 or F32 with the safetensors package"
_SPACE = re.compile(rb"[ \t\r\n]*+")
_STRING = re.compile(rb'"([^"\\\x00-\x1f]*+(?:\\.[^"\\\x00-\x1f]*+)*+)"')
_INTEGER = re.compile(rb"(?:0|[1-9][0-9]{0,19}+)(?![0-9.eE])")
_SCALAR = re.compile(rb"-?(?:0|[1-9][0-9]{0,17}+)(?![0-9.eE])|true|false|null")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class TensorEntry:
    """Where one tensor lies: ``offset`` is counted from the file's first byte.

    ``axes``: where the file holds the axes in another order, the stored axis that each axis of
    ``shape`` is (as in ``numpy.transpose``).
    """

    dtype: str
    shape: tuple[int, ...]
    offset: int
    nbytes: int
    axes: tuple[int, ...] | None = None

    @property
    def stored_shape(self) -> tuple[int, ...]:
        """The shape in the file's own order of axes."""
        if self.axes is None:
            return self.shape
        return tuple(self.shape[self.axes.index(axis)] for axis in range(len(self.axes)))

    def part(self, index: int, count: int) -> "TensorEntry":
        """Part ``index`` of ``count`` equal ones of the first axis, for an entry without axes."""
        nbytes = self.nbytes // count
        shape = (self.shape[0] // count, *self.shape[1:])
        return TensorEntry(self.dtype, shape, self.offset + index * nbytes, nbytes)

    def reshaped(self, *shape: int) -> "TensorEntry":
        """The same bytes in another shape of as many elements, for an entry without axes."""
        return TensorEntry(self.dtype, shape, self.offset, self.nbytes)

    def transposed(self) -> "TensorEntry":
        """A matrix with its axes exchanged."""
        axes = (1, 0) if self.axes in (None, (0, 1)) else None
        return TensorEntry(self.dtype, self.shape[::-1], self.offset, self.nbytes, axes)


@dataclass(frozen=True, slots=True)
class Header:
    """All tensors in the order of the text, and the file's free-form notes."""

    tensors: dict[str, TensorEntry]
    metadata: dict[str, str]


def parse_header(text: bytes, file: FilePath, data_start: int, data_bytes: int) -> Header:
    """Read and check a whole header.

    ``text``: the header's bytes, padding included; ``data_start``: the file offset at which the
    tensors' bytes begin; ``data_bytes``: how many there are. Raises ``ModelFormatError``.
    """
    scanner = _Scanner(text, file)
    tensors: dict[str, TensorEntry] = {}
    metadata: dict[str, str] = {}
    if not text.startswith(b"{"):
        scanner.fail("does not begin with '{'")
    for name in scanner.members("header"):
        if name == "__metadata__":
            metadata = _metadata(scanner)
            continue
        _check_name(scanner, name)
        scanner.where = f"tensor {quoted(name)}"
        tensors[name] = _entry(scanner, data_start, data_bytes)
        scanner.where = "header"
        if len(tensors) > MAX_TENSORS:
            scanner.fail(f"more than {MAX_TENSORS} tensors", _RESAVE)
    scanner.padding()
    _check_layout(tensors, file, data_start, data_bytes)
    return Header(tensors, metadata)


class _Scanner:
    """A cursor over the header's bytes; ``where`` names the part being read in errors."""

    def __init__(self, text: bytes, file: FilePath) -> None:
        self._text = text
        self._file = file
        self._at = 0
        self.where = "header"

    def fail(self, reason: str, hint: str = AGAIN, field: str = "") -> NoReturn:
        where = f"{self.where}: {field}" if field else self.where
        raise ModelFormatError(self._file, where, reason, hint)

    def take(self, token: bytes) -> bool:
        """Step over blanks, then over ``token`` if it comes next."""
        self._blanks()
        found = self._text.startswith(token, self._at)
        self._at += len(token) if found else 0
        return found

    def expect(self, token: bytes, field: str = "") -> None:
        if not self.take(token):
            found = self._text[self._at : self._at + 8]
            found_text = quoted(found.decode("latin-1")) if found else "its end"
            reason = f"has {found_text} at byte {self._at} where '{token.decode()}' must be"
            self.fail(reason, field=field)

    def string(self, field: str = "") -> str:
        """A JSON string: valid UTF-8, valid escapes, no half of a surrogate pair."""
        self._blanks()
        match = _STRING.match(self._text, self._at)
        if match is None:
            self.fail(f"has no string at byte {self._at} where one must be", field=field)
        self._at = match.end()
        try:
            text = match[1].decode("utf-8")
            if "\\" in text:
                text = str(json.loads(f'"{text}"'))
                text.encode("utf-8")
        except ValueError:
            self.fail(f"has a string that is not valid UTF-8 before byte {self._at}", field=field)
        return text

    def integer(self, field: str) -> int:
        """An integer from 0 to 2**64 - 1 in plain digits."""
        self._blanks()
        match = _INTEGER.match(self._text, self._at)
        if match is None or int(match[0]) >= 2**64:
            self.fail("must hold integers from 0 to 2**64 - 1", field=field)
        self._at = match.end()
        return int(match[0])

    def integers(self, field: str, most: int) -> tuple[int, ...]:
        """An array of at most ``most`` integers."""
        self.expect(b"[", field)
        if self.take(b"]"):
            return ()
        found = [self.integer(field)]
        while not self.take(b"]"):
            self.expect(b",", field)
            found.append(self.integer(field))
            if len(found) > most:
                self.fail(f"holds more than {most} numbers", field=field)
        return tuple(found)

    def members(self, where: str) -> Iterator[str]:
        """The keys of an object, no key twice; the caller reads each value."""
        seen: set[str] = set()
        self.expect(b"{")
        if self.take(b"}"):
            return
        while True:
            key = self.string()
            if key in seen:
                self.fail(f"the name {quoted(key)} stands twice in the {where}")
            seen.add(key)
            self.expect(b":")
            yield key
            if self.take(b"}"):
                return
            self.expect(b",")

    def skip_scalar(self, field: str) -> None:
        """Step over a string, a whole number, true, false or null."""
        self._blanks()
        match = _SCALAR.match(self._text, self._at)
        if match is None:
            self.string(field)
        else:
            self._at = match.end()

    def padding(self) -> None:
        """Only spaces may follow the object."""
        if self._text[self._at :].strip(b" "):
            self.fail("has more text after its closing brace")

    def _blanks(self) -> None:
        match = _SPACE.match(self._text, self._at)
        self._at = match.end() if match else self._at


def _metadata(scanner: _Scanner) -> dict[str, str]:
    """The ``__metadata__`` object: text to text."""
    scanner.where = "__metadata__"
    found: dict[str, str] = {}
    for key in scanner.members("metadata"):
        found[key] = scanner.string(quoted(key))
        if len(found) > MAX_METADATA:
            scanner.fail(f"more than {MAX_METADATA} entries", _RESAVE)
    scanner.where = "header"
    return found


def _check_name(scanner: _Scanner, name: str) -> None:
    if len(name.encode()) > MAX_NAME_BYTES:
        scanner.fail(f"a tensor's name is longer than {MAX_NAME_BYTES} bytes", _RESAVE)
    if _CONTROL.search(name):
        scanner.fail(f"the tensor name {quoted(name)} holds control characters", _RESAVE)


def _entry(scanner: _Scanner, data_start: int, data_bytes: int) -> TensorEntry:
    """One tensor's object. Fields not known to the format are passed over, as the format says."""
    dtype: str | None = None
    shape: tuple[int, ...] | None = None
    span: tuple[int, ...] | None = None
    for field in scanner.members("tensor"):
        if field == "dtype":
            dtype = _dtype(scanner)
        elif field == "shape":
            shape = _shape(scanner)
        elif field == "data_offsets":
            span = scanner.integers(field, 2)
        else:
            scanner.skip_scalar(quoted(field))
    if dtype is None or shape is None or span is None:
        lacks = "dtype" if dtype is None else "shape" if shape is None else "data_offsets"
        scanner.fail("is missing", field=lacks)
    if len(span) != 2 or not span[0] <= span[1] <= data_bytes:
        reason = f"{list(span)} is no span within the {data_bytes} bytes of data that are there"
        scanner.fail(reason, field="data_offsets")
    nbytes = math.prod(shape) * ITEM_BYTES[dtype]
    if span[1] - span[0] != nbytes:
        reason = f"spans {span[1] - span[0]} bytes, but {dtype} {list(shape)} takes {nbytes}"
        scanner.fail(reason, field="data_offsets")
    return TensorEntry(dtype, shape, data_start + span[0], nbytes)


def _dtype(scanner: _Scanner) -> str:
    """The element type; one shared string per type."""
    found = scanner.string("dtype")
    for known in ITEM_BYTES:
        if known == found:
            return known
    if _NOT_READ.fullmatch(found):
        scanner.fail(f"{quoted(found)} is not read", _RESAVE, field="dtype")
    return scanner.fail(f"{quoted(found)} is no type of the format", field="dtype")


def _shape(scanner: _Scanner) -> tuple[int, ...]:
    """At most ``MAX_RANK`` sizes whose product, zeros counted as ones, is bounded."""
    shape = scanner.integers("shape", MAX_RANK)
    if math.prod(max(size, 1) for size in shape) > MAX_ELEMENTS:
        scanner.fail(f"{list(shape)} has more than 2**48 elements", field="shape")
    return shape


def _check_layout(
    tensors: dict[str, TensorEntry], file: FilePath, data_start: int, data_bytes: int
) -> None:
    """The tensors must cover the data from its first byte to its last, each byte once."""
    end = data_start
    for name, entry in sorted(tensors.items(), key=lambda item: (item[1].offset, item[1].nbytes)):
        if entry.offset != end:
            kind = "overlaps the one before it" if entry.offset < end else "leaves a hole before it"
            raise ModelFormatError(file, f"tensor {quoted(name)}: data_offsets", kind, AGAIN)
        end += entry.nbytes
    rest = data_start + data_bytes - end
    if rest:
        raise ModelFormatError(file, "data", f"{rest} bytes after the last tensor", AGAIN)
