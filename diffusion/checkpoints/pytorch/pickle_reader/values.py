"""The values that a checkpoint's pickle describes, and their checks."""

from collections.abc import Hashable
from pickle import UnpicklingError
from typing import Final, NamedTuple

ELEMENT_TYPES: Final = {
    "BoolStorage": ("BOOL", 1),
    "ByteStorage": ("U8", 1),
    "CharStorage": ("I8", 1),
    "ShortStorage": ("I16", 2),
    "HalfStorage": ("F16", 2),
    "BFloat16Storage": ("BF16", 2),
    "IntStorage": ("I32", 4),
    "FloatStorage": ("F32", 4),
    "LongStorage": ("I64", 8),
    "DoubleStorage": ("F64", 8),
    "UntypedStorage": ("U8", 1),
    "float8_e4m3fn": ("F8_E4M3", 1),
    "float8_e5m2": ("F8_E5M2", 1),
    "uint16": ("U16", 2),
    "uint32": ("U32", 4),
    "uint64": ("U64", 8),
}
"""PyTorch's types: name in safetensors, and bytes of an element."""

_MAX_RANK: Final = 8
_KEY_LIMIT: Final = 2**31


class Name(NamedTuple):
    """The name of something that could be imported, and is not."""

    module: str
    name: str


class Storage(NamedTuple):
    """``numel`` elements in the archive's entry ``data/<key>``."""

    dtype: str
    itemsize: int
    key: str
    numel: int


class Tensor(NamedTuple):
    """A view of a storage; sizes, strides and offset count elements."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


class Parameters(dict[Hashable, object]):
    """The tensors of a ``torch.nn.ParameterDict``, which come as an attribute of it."""


class Opaque:
    """The result of a call that is allowed and of no interest."""


def describe(value: object) -> str:
    """Return a name or a text quoted, and the type of any other value, which may be of any size."""
    if isinstance(value, Name):
        value = f"{value.module}.{value.name}"
    return repr(value[:80] if isinstance(value, str) else type(value).__name__)


def as_natural(value: object) -> int:
    """Return a whole number from 0 to 2**62 - 1. Raises ``UnpicklingError``."""
    if type(value) is not int or not 0 <= value < 2**62:
        raise UnpicklingError("holds a tensor whose sizes are not whole numbers")
    return value


def as_naturals(value: object) -> tuple[int, ...]:
    """Return a tuple of at most 8 whole numbers. Raises ``UnpicklingError``."""
    if not isinstance(value, tuple) or len(value) > _MAX_RANK:
        raise UnpicklingError("holds a tensor whose shape is not supported")
    return tuple(as_natural(item) for item in value)


def as_key(value: object) -> Hashable:
    """Return a value that may be a dictionary's key. Raises ``UnpicklingError``.

    Python salts the hashes of texts alone. Numbers past 2**61 and tuples can be chosen so that all
    hashes are equal, and a dictionary of them takes minutes. So such numbers are refused, and a
    tuple becomes its text.
    """
    if value is None or isinstance(value, str | bytes | Name):
        return value
    if isinstance(value, int | float) and abs(value) < _KEY_LIMIT:
        return value
    if isinstance(value, tuple) and len(value) <= 8 and not any(type(i) is tuple for i in value):
        return str(tuple(as_key(item) for item in value))
    raise UnpicklingError("holds a dictionary with a key of an unknown form")
