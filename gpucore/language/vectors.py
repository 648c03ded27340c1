"""Vectors and matrices of WGSL: ``vec3f(x, y, z)``, ``v.xy``, ``m @ v``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from gpucore.dtypes import f16, f32, i32, u32
from gpucore.language.outside import outside_error

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

__all__ = [
    "mat2x2f",
    "mat2x3f",
    "mat2x4f",
    "mat3x2f",
    "mat3x3f",
    "mat3x4f",
    "mat4x2f",
    "mat4x3f",
    "mat4x4f",
    "vec2f",
    "vec2h",
    "vec2i",
    "vec2u",
    "vec3f",
    "vec3h",
    "vec3i",
    "vec3u",
    "vec4f",
    "vec4h",
    "vec4i",
    "vec4u",
]


N = TypeVar("N")


class _Numbers(Generic[N]):
    """The common part of vectors and matrices, for checkers of types."""

    gpu_shape: ClassVar[tuple[int | str, ...]]

    def __init__(self, *parts: Any) -> None:
        raise outside_error(f"{type(self).__name__}(...)")

    if TYPE_CHECKING:

        def _scalar(self) -> N: ...
        def __add__(self, other: Self | float) -> Self: ...
        def __radd__(self, other: float) -> Self: ...
        def __sub__(self, other: Self | float) -> Self: ...
        def __rsub__(self, other: float) -> Self: ...
        def __mul__(self, other: Self | float) -> Self: ...
        def __rmul__(self, other: float) -> Self: ...
        def __truediv__(self, other: Self | float) -> Self: ...
        def __rtruediv__(self, other: float) -> Self: ...
        def __floordiv__(self, other: Self | float) -> Self: ...
        def __mod__(self, other: Self | float) -> Self: ...
        def __and__(self, other: Self | int) -> Self: ...
        def __or__(self, other: Self | int) -> Self: ...
        def __xor__(self, other: Self | int) -> Self: ...
        def __lshift__(self, other: Self) -> Self: ...
        def __rshift__(self, other: Self) -> Self: ...
        def __neg__(self) -> Self: ...
        def __abs__(self) -> Self: ...
        def __matmul__(self, other: Any) -> Any: ...
        def __getitem__(self, index: int) -> Any: ...
        def __iter__(self) -> Iterator[Any]: ...
        def __setitem__(self, index: int, value: Any) -> None: ...
        def __getattr__(self, name: str) -> Any: ...
        def __setattr__(self, name: str, value: Any) -> None: ...
        def __lt__(self, other: Self) -> Any: ...
        def __le__(self, other: Self) -> Any: ...
        def __gt__(self, other: Self) -> Any: ...
        def __ge__(self, other: Self) -> Any: ...
        def _takes(self, argument: Any) -> Any: ...


class vec2f(_Numbers[f32]):
    """Two numbers of f32."""

    gpu_shape = (2, "f32")


class vec2h(_Numbers[f16]):
    """Two numbers of f16."""

    gpu_shape = (2, "f16")


class vec2i(_Numbers[i32]):
    """Two numbers of i32."""

    gpu_shape = (2, "i32")


class vec2u(_Numbers[u32]):
    """Two numbers of u32."""

    gpu_shape = (2, "u32")


class vec3f(_Numbers[f32]):
    """Three numbers of f32."""

    gpu_shape = (3, "f32")


class vec3h(_Numbers[f16]):
    """Three numbers of f16."""

    gpu_shape = (3, "f16")


class vec3i(_Numbers[i32]):
    """Three numbers of i32."""

    gpu_shape = (3, "i32")


class vec3u(_Numbers[u32]):
    """Three numbers of u32."""

    gpu_shape = (3, "u32")


class vec4f(_Numbers[f32]):
    """Four numbers of f32."""

    gpu_shape = (4, "f32")


class vec4h(_Numbers[f16]):
    """Four numbers of f16."""

    gpu_shape = (4, "f16")


class vec4i(_Numbers[i32]):
    """Four numbers of i32."""

    gpu_shape = (4, "i32")


class vec4u(_Numbers[u32]):
    """Four numbers of u32."""

    gpu_shape = (4, "u32")


class mat2x2f(_Numbers[f32]):
    """A matrix of 2 columns and 2 rows of f32; it is made of its columns."""

    gpu_shape = (2, 2, "f32")


class mat2x3f(_Numbers[f32]):
    """A matrix of 2 columns and 3 rows of f32; it is made of its columns."""

    gpu_shape = (2, 3, "f32")


class mat2x4f(_Numbers[f32]):
    """A matrix of 2 columns and 4 rows of f32; it is made of its columns."""

    gpu_shape = (2, 4, "f32")


class mat3x2f(_Numbers[f32]):
    """A matrix of 3 columns and 2 rows of f32; it is made of its columns."""

    gpu_shape = (3, 2, "f32")


class mat3x3f(_Numbers[f32]):
    """A matrix of 3 columns and 3 rows of f32; it is made of its columns."""

    gpu_shape = (3, 3, "f32")


class mat3x4f(_Numbers[f32]):
    """A matrix of 3 columns and 4 rows of f32; it is made of its columns."""

    gpu_shape = (3, 4, "f32")


class mat4x2f(_Numbers[f32]):
    """A matrix of 4 columns and 2 rows of f32; it is made of its columns."""

    gpu_shape = (4, 2, "f32")


class mat4x3f(_Numbers[f32]):
    """A matrix of 4 columns and 3 rows of f32; it is made of its columns."""

    gpu_shape = (4, 3, "f32")


class mat4x4f(_Numbers[f32]):
    """A matrix of 4 columns and 4 rows of f32; it is made of its columns."""

    gpu_shape = (4, 4, "f32")
