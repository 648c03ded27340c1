"""Element types of buffers: classes used as markers, so that ``Buffer[f32]`` is a type.

The table is open: a new dtype is one more subclass of `DType`. A structured dtype of NumPy gets its
marker when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import DTypeLike

from gpucore.errors import DTypeError

__all__ = [
    "DTYPES",
    "DType",
    "MadeOf",
    "T",
    "c64",
    "conversion_text",
    "dtype_of",
    "f16",
    "f32",
    "i8",
    "i32",
    "is_marker",
    "marker_of",
    "u8",
    "u32",
]


class DType:
    """An element type: its name in messages, its NumPy dtype, its scalar type in WGSL.

    ``wgsl`` is None where WGSL has no such scalar and a kernel reads packed words instead.
    """

    name: ClassVar[str]
    numpy: ClassVar[np.dtype[np.generic]]
    itemsize: ClassVar[int]
    wgsl: ClassVar[str | None]

    def __init_subclass__(cls, *, like: DTypeLike, wgsl: str | None) -> None:
        cls.name = cls.__name__
        cls.numpy = np.dtype(like)
        cls.itemsize = cls.numpy.itemsize
        cls.wgsl = wgsl

    if TYPE_CHECKING:
        # An element of a kernel in Python is compared with literals.
        def __eq__(self, other: object, /) -> bool: ...

        def _scalar(self) -> Self: ...


if TYPE_CHECKING:
    # In a kernel in Python, `a: f32` is a number: checkers let it do what Python's numbers do, and
    # let a call give one of Python's (`_takes` is what `GpuKernel` accepts for it).
    class _Float(float):
        def __add__(self, other: float, /) -> Self: ...
        def __radd__(self, other: float, /) -> Self: ...
        def __sub__(self, other: float, /) -> Self: ...
        def __rsub__(self, other: float, /) -> Self: ...
        def __mul__(self, other: float, /) -> Self: ...
        def __rmul__(self, other: float, /) -> Self: ...
        def __truediv__(self, other: float, /) -> Self: ...
        def __rtruediv__(self, other: float, /) -> Self: ...
        def __floordiv__(self, other: float, /) -> Self: ...
        def __rfloordiv__(self, other: float, /) -> Self: ...
        def __mod__(self, other: float, /) -> Self: ...
        def __rmod__(self, other: float, /) -> Self: ...
        def __neg__(self) -> Self: ...
        def __abs__(self) -> Self: ...
        def _takes(self, argument: float) -> float: ...

    class _Integer(int):
        def __add__(self, other: int, /) -> Self: ...
        def __radd__(self, other: int, /) -> Self: ...
        def __sub__(self, other: int, /) -> Self: ...
        def __rsub__(self, other: int, /) -> Self: ...
        def __mul__(self, other: int, /) -> Self: ...
        def __rmul__(self, other: int, /) -> Self: ...
        def __floordiv__(self, other: int, /) -> Self: ...
        def __rfloordiv__(self, other: int, /) -> Self: ...
        def __mod__(self, other: int, /) -> Self: ...
        def __rmod__(self, other: int, /) -> Self: ...
        def __and__(self, other: int, /) -> Self: ...
        def __rand__(self, other: int, /) -> Self: ...
        def __or__(self, other: int, /) -> Self: ...
        def __ror__(self, other: int, /) -> Self: ...
        def __xor__(self, other: int, /) -> Self: ...
        def __rxor__(self, other: int, /) -> Self: ...
        def __lshift__(self, other: int, /) -> Self: ...
        def __rlshift__(self, other: int, /) -> Self: ...
        def __rshift__(self, other: int, /) -> Self: ...
        def __rrshift__(self, other: int, /) -> Self: ...
        def __neg__(self) -> Self: ...
        def __abs__(self) -> Self: ...
        def __invert__(self) -> Self: ...
        def _takes(self, argument: int) -> int: ...

else:

    class _Float:
        """What checkers take for a float."""

    class _Integer:
        """What checkers take for an integer."""


class f32(DType, _Float, like=np.float32, wgsl="f32"):
    """32-bit float."""


class f16(DType, _Float, like=np.float16, wgsl="f16"):
    """16-bit float (a kernel that names it needs ``enable f16``)."""


class i32(DType, _Integer, like=np.int32, wgsl="i32"):
    """32-bit signed integer."""


class u32(DType, _Integer, like=np.uint32, wgsl="u32"):
    """32-bit unsigned integer."""


class i8(DType, like=np.int8, wgsl=None):
    """8-bit signed integer, four to a word in kernels."""


class u8(DType, like=np.uint8, wgsl=None):
    """8-bit unsigned integer, four to a word in kernels."""


class c64(DType, like=np.complex64, wgsl=None):
    """Complex number of two f32, ``vec2<f32>`` in kernels (alias ``c64x1``)."""


T = TypeVar("T", bound=DType)
_S_co = TypeVar("_S_co", covariant=True)


class MadeOf(Protocol[_S_co]):
    """Elements of an array of scalars, for checkers: these scalars, or vectors of them."""

    def _scalar(self) -> _S_co: ...


DTYPES: dict[str, type[DType]] = {d.name: d for d in (c64, f16, f32, i32, i8, u32, u8)}
_BY_NUMPY = {d.numpy: d for d in DTYPES.values()}


_RECORDS: dict[np.dtype[Any], type[DType]] = {}


def is_marker(dtype: object) -> bool:
    """Tell whether ``dtype`` is a subclass of `DType`, and not `DType` itself."""
    return isinstance(dtype, type) and issubclass(dtype, DType) and dtype is not DType


def marker_of(dtype: object) -> type[DType]:
    """Return ``dtype`` where it is a marker, or the marker of a structured dtype of NumPy.

    Raises `DTypeError` for anything else.
    """
    if isinstance(dtype, type) and issubclass(dtype, DType) and dtype is not DType:
        return dtype
    if isinstance(dtype, np.dtype) and dtype.names:
        return dtype_of(dtype)
    raise DTypeError(
        f"buffer: dtype must be a marker, got {dtype!r}; give a marker of gpucore's, one of "
        f"{', '.join(DTYPES)} (from gpucore import f32), or a structured dtype of NumPy"
    )


def dtype_of(numpy_dtype: DTypeLike) -> type[DType]:
    """Return the marker of a NumPy dtype. Raises `DTypeError` where there is none."""
    kind: np.dtype[Any] = np.dtype(numpy_dtype)
    found = _BY_NUMPY.get(kind) or _RECORDS.get(kind)
    if found is None and kind.names:
        found = _RECORDS[kind] = _record_marker(kind)
    if found is None:
        names = ", ".join(str(d.numpy) for d in DTYPES.values())
        raise DTypeError(
            f"no buffer dtype for NumPy {kind}: convert the array to one of {names} first "
            "(array.astype(...))"
        )
    return found


def conversion_text(dtype: type[DType]) -> str:
    """Return how to give an array this dtype, as advice in an error."""
    if dtype.numpy.names:
        return "make the array with this dtype, np.zeros(count, buffer.dtype.numpy)"
    return f"convert it first, array.astype(np.{dtype.numpy})"


def _record_marker(kind: np.dtype[Any]) -> type[DType]:
    """Return a new marker for arrays of structs. Raises `DTypeError` for fields without numbers."""
    for name, (field, *_) in (kind.fields or {}).items():
        base = field.base
        if base.names:
            _record_marker(base)
        elif base.kind not in "fiuc" or not base.isnative:
            raise DTypeError(
                f"field {name!r} is {base}: fields of a struct must be numbers in native byte "
                "order, or structs of these"
            )
    name = f"{{{', '.join(kind.names or ())}}}"
    return type(name, (DType,), {"__doc__": "A struct."}, like=kind, wgsl=None)
