"""The methods of buffers, as NumPy's arrays have them: reductions, order, shapes and indices.

``axis`` is an int, a tuple of ints, or None for all; with ``keepdims`` reduced axes stay, of extent
1. Results are new buffers, but those of `reshape`, `ravel`, `squeeze` and `view` share the memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from numpy.typing import DTypeLike

from gpucore.algebra.operators import Operand
from gpucore.algebra.provider import operation
from gpucore.dtypes import DType, MadeOf, i32, u8
from gpucore.dtypes import T as Element

if TYPE_CHECKING:
    from gpucore.buffer import Buffer

__all__ = ["Axes", "BufferMethods"]

Axes = int | Sequence[int] | None
D = TypeVar("D", bound=DType)


class BufferMethods(Generic[Element]):
    """The methods of a `Buffer`: each asks for its operation by name.

    All raise `OperationsNotFoundError`, `ShapeError` for axes and shapes that do not fit,
    `DTypeError`, `ArgumentError`.
    """

    __slots__ = ()

    shape: tuple[int, ...]

    if TYPE_CHECKING:
        # A kernel in Python takes a buffer for an array of scalars, or of vectors of them.
        def _holds(self, element: MadeOf[Element] | Element, /) -> None: ...

    @property
    def T(self) -> Buffer[Element]:  # noqa: N802 (NumPy's name)
        """A transposed copy: axes in reverse order."""
        return self.transpose()

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    def __getitem__(self, key: Any) -> Buffer[Element]:
        """Return the elements that ``key`` selects, as NumPy does; always a copy.

        Whole numbers, slices with any step, ``...``, None, integer arrays and masks, on the host
        or on the device. Masks wait for their count. Writing into the result changes nothing here:
        ``x[1:] = y`` and ``x[1:] += y`` do. Raises IndexError beyond an axis; indices on the device
        are not read, and are limited to the axis.
        """
        found: Buffer[Element] = operation("select")(self, key)
        return found

    def __setitem__(self, key: Any, value: Operand) -> None:
        """Replace the elements that ``key`` selects by ``value``, broadcast to their shape.

        A value of another kind of dtype (a float into integers) raises `DTypeError`.
        """
        operation("assign")(self, key, value)

    def __iter__(self) -> Iterator[Buffer[Element]]:
        """Yield a copy of each element of the first axis. Raises TypeError without axes."""
        if not self.shape:
            raise TypeError("a buffer without axes has nothing to iterate over: read it")
        return (self[i] for i in range(self.shape[0]))

    def __contains__(self, value: Operand) -> bool:
        """Tell whether some element equals ``value``; wait for it."""
        return bool(operation("contains")(self, value))

    def sum(
        self, axis: Axes = None, *, dtype: type[DType] | None = None, keepdims: bool = False
    ) -> Buffer[Any]:
        """Return the sum over axes: of i8 in i32, of u8 in u32, else in this dtype."""
        return self._call("sum", axis, dtype=dtype, keepdims=keepdims)

    def prod(
        self, axis: Axes = None, *, dtype: type[DType] | None = None, keepdims: bool = False
    ) -> Buffer[Any]:
        """Return the product over axes: of i8 in i32, of u8 in u32, else in this dtype."""
        return self._call("prod", axis, dtype=dtype, keepdims=keepdims)

    def mean(self, axis: Axes = None, *, keepdims: bool = False) -> Buffer[Any]:
        """Return the mean over axes: of integers in f32, else in this dtype."""
        return self._call("mean", axis, keepdims=keepdims)

    def var(self, axis: Axes = None, *, ddof: float = 0, keepdims: bool = False) -> Buffer[Any]:
        """Return the variance over axes: of integers in f32, else in this dtype."""
        return self._call("var", axis, ddof=ddof, keepdims=keepdims)

    def std(self, axis: Axes = None, *, ddof: float = 0, keepdims: bool = False) -> Buffer[Any]:
        """Return the square root of `var`."""
        return self._call("std", axis, ddof=ddof, keepdims=keepdims)

    def min(self, axis: Axes = None, *, keepdims: bool = False) -> Buffer[Element]:
        """Return the least over axes; NaN where one is NaN."""
        return self._call("min", axis, keepdims=keepdims)

    def max(self, axis: Axes = None, *, keepdims: bool = False) -> Buffer[Element]:
        """Return the largest over axes; NaN where one is NaN."""
        return self._call("max", axis, keepdims=keepdims)

    def argmin(self, axis: int | None = None, *, keepdims: bool = False) -> Buffer[i32]:
        """Return the place of the first least element along an axis, or of the whole."""
        return self._call("argmin", axis, keepdims=keepdims)

    def argmax(self, axis: int | None = None, *, keepdims: bool = False) -> Buffer[i32]:
        """Return the place of the first largest element along an axis, or of the whole."""
        return self._call("argmax", axis, keepdims=keepdims)

    def any(self, axis: Axes = None, *, keepdims: bool = False) -> Buffer[u8]:
        """Return 1 where some element over axes is other than 0, else 0."""
        return self._call("any", axis, keepdims=keepdims)

    def all(self, axis: Axes = None, *, keepdims: bool = False) -> Buffer[u8]:
        """Return 1 where no element over axes is 0, else 0."""
        return self._call("all", axis, keepdims=keepdims)

    def cumsum(self, axis: int | None = None, *, dtype: type[DType] | None = None) -> Buffer[Any]:
        """Return the sum of all elements up to each, of the flattened array for None."""
        return self._call("cumsum", axis, dtype=dtype)

    def cumprod(self, axis: int | None = None, *, dtype: type[DType] | None = None) -> Buffer[Any]:
        """Return the product of all elements up to each, of the flattened array for None."""
        return self._call("cumprod", axis, dtype=dtype)

    def sort(self, axis: int = -1) -> None:
        """Sort the elements along an axis, in place; NaN comes last."""
        self._call("sort", axis)

    def argsort(self, axis: int = -1) -> Buffer[i32]:
        """Return the indices that sort an axis; equal elements keep their order."""
        return self._call("argsort", axis)

    def dot(self, other: Operand) -> Buffer[Any]:
        """Return the matrix product; the sum of products for two vectors."""
        return self._call("dot", other)

    def clip(self, min: Any = None, max: Any = None) -> Buffer[Element]:  # noqa: A002
        """Limit the elements to the numbers from ``min`` to ``max``; None leaves a side open."""
        return self._call("clip", min, max)

    def round(self, decimals: int = 0) -> Buffer[Element]:
        """Round to whole numbers, halves to the even one, or to ``decimals`` places."""
        return self._call("round", decimals)

    def conj(self) -> Buffer[Element]:
        """Return the complex conjugates; a copy of real numbers."""
        return self._call("conj")

    @property
    def real(self) -> Buffer[Any]:
        """A copy of the real parts."""
        return self._call("real")

    @property
    def imag(self) -> Buffer[Any]:
        """A copy of the imaginary parts; zeros for real numbers."""
        return self._call("imag")

    @overload
    def astype(self, dtype: type[D], *, copy: bool = True) -> Buffer[D]: ...
    @overload
    def astype(self, dtype: DTypeLike, *, copy: bool = True) -> Buffer[Any]: ...
    def astype(self, dtype: Any, *, copy: bool = True) -> Buffer[Any]:
        """Convert to another dtype, gpucore's or NumPy's. Floats are cut off at integers' ends.

        Without ``copy``, the buffer itself is returned where it has the dtype already.
        """
        return self._call("astype", dtype, copy=copy)

    def copy(self) -> Buffer[Element]:
        """Return a new buffer with the same contents."""
        return self._call("copy")

    def reshape(self, *shape: int | Sequence[int]) -> Buffer[Element]:
        """Return the same memory in another shape, whose extents may include one -1."""
        return self._call("reshape", *shape)

    def ravel(self) -> Buffer[Element]:
        """Return the same memory with one axis."""
        return self._call("reshape", -1 if 0 not in self.shape else 0)

    def flatten(self) -> Buffer[Element]:
        """Return a copy with one axis."""
        return self.ravel().copy()

    def squeeze(self, axis: Axes = None) -> Buffer[Element]:
        """Return the same memory without axes of extent 1: those named, or all for None."""
        return self._call("squeeze", axis)

    def transpose(self, *axes: int | Sequence[int] | None) -> Buffer[Element]:
        """Return a copy with other order of axes, reversed where none are given."""
        return self._call("transpose", *axes)

    def swapaxes(self, axis1: int, axis2: int) -> Buffer[Element]:
        """Return a copy with two axes exchanged."""
        return self._call("swapaxes", axis1, axis2)

    def repeat(self, repeats: int, axis: int | None = None) -> Buffer[Element]:
        """Repeat each element along an axis, of the flattened array for None."""
        return self._call("repeat", repeats, axis)

    def take(self, indices: Any, axis: int | None = None) -> Buffer[Element]:
        """Return the elements at indices along an axis, of the flattened array for None."""
        return self._call("take", indices, axis)

    def nonzero(self) -> tuple[Buffer[i32], ...]:
        """Return the coordinates of the elements other than 0; wait for their count."""
        found: tuple[Buffer[i32], ...] = operation("method.nonzero")(self)
        return found

    def fill(self, value: Operand) -> None:
        """Replace each element by ``value``."""
        self[...] = value

    def _call(self, name: str, *arguments: object, **options: object) -> Buffer[Any]:
        """Return the result of the method's operation."""
        result: Buffer[Any] = operation(f"method.{name}")(self, *arguments, **options)
        return result
