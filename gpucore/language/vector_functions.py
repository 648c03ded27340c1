"""Functions of vectors and matrices."""

from __future__ import annotations

from typing import Any, TypeVar

from gpucore.language.outside import outside_error, word

__all__ = [
    "all_of",
    "any_of",
    "cross",
    "determinant",
    "distance",
    "dot",
    "length",
    "normalize",
    "reflect",
    "transpose",
]

V = TypeVar("V")
"""A vector."""


@word
def dot(vector: Any, other: Any) -> Any:
    """Return the dot product of two vectors.

    >>> from gpucore import Array, dot, f32, gpu_kernel, vec2f
    >>> @gpu_kernel
    ... def example(x: Array[f32]) -> Array[f32]:
    ...     return dot(vec2f(x, x), vec2f(1, 2))
    >>> "dot(" in example.source()
    True
    """
    raise outside_error("dot(...)")


@word
def cross(vector: V, other: V) -> V:
    """Return the cross product of two vectors of 3.

    >>> from gpucore import Array, cross, f32, gpu_kernel, vec3f
    >>> @gpu_kernel
    ... def example(x: Array[f32]) -> Array[f32]:
    ...     return cross(vec3f(x), vec3f(1, 0, 0)).y
    >>> "cross(" in example.source()
    True
    """
    raise outside_error("cross(...)")


@word
def length(vector: Any) -> float:
    """Return the length of a vector.

    >>> from gpucore import Array, f32, gpu_kernel, length, vec2f
    >>> @gpu_kernel
    ... def example(x: Array[f32]) -> Array[f32]:
    ...     return length(vec2f(x, x))
    >>> "length(" in example.source()
    True
    """
    raise outside_error("length(...)")


@word
def distance(vector: Any, other: Any) -> float:
    """Return the length of the difference of two vectors.

    >>> from gpucore import Array, distance, f32, gpu_kernel, vec2f
    >>> @gpu_kernel
    ... def example(x: Array[f32]) -> Array[f32]:
    ...     return distance(vec2f(x), vec2f(1, 2))
    >>> "distance(" in example.source()
    True
    """
    raise outside_error("distance(...)")


@word
def normalize(vector: V) -> V:
    """Return a vector of length 1 in the same direction.

    >>> from gpucore import Array, f32, gpu_kernel, normalize, vec2f
    >>> @gpu_kernel
    ... def example(x: Array[f32]) -> Array[f32]:
    ...     return normalize(vec2f(x, 1)).x
    >>> "normalize(" in example.source()
    True
    """
    raise outside_error("normalize(...)")


@word
def reflect(vector: V, other: V) -> V:
    """Return a vector reflected at a plane with the normal ``other``.

    >>> from gpucore import Array, f32, gpu_kernel, reflect, vec2f
    >>> @gpu_kernel
    ... def example(x: Array[f32]) -> Array[f32]:
    ...     return reflect(vec2f(x, 1), vec2f(0, 1)).y
    >>> "reflect(" in example.source()
    True
    """
    raise outside_error("reflect(...)")


@word
def transpose(matrix: Any) -> Any:
    """Return a matrix with rows and columns exchanged.

    >>> from gpucore import Array, f32, gpu_kernel, mat2x2f, transpose
    >>> @gpu_kernel
    ... def example(x: Array[f32]) -> Array[f32]:
    ...     return transpose(mat2x2f(x, 1, 2, 3))[0].y
    >>> "transpose(" in example.source()
    True
    """
    raise outside_error("transpose(...)")


@word
def determinant(matrix: Any) -> float:
    """Return the determinant of a square matrix.

    >>> from gpucore import Array, determinant, f32, gpu_kernel, mat2x2f
    >>> @gpu_kernel
    ... def example(x: Array[f32]) -> Array[f32]:
    ...     return determinant(mat2x2f(x, 1, 2, 3))
    >>> "determinant(" in example.source()
    True
    """
    raise outside_error("determinant(...)")


@word
def any_of(comparison: Any) -> bool:
    """Tell whether a comparison of vectors is true for a component.

    >>> from gpucore import Array, any_of, f32, gpu_kernel, vec2f
    >>> @gpu_kernel
    ... def example(x: Array[f32]) -> Array[f32]:
    ...     return 1.0 if any_of(vec2f(x) > vec2f(1, 2)) else 0.0
    >>> "any(" in example.source()
    True
    """
    raise outside_error("any_of(...)")


@word
def all_of(comparison: Any) -> bool:
    """Tell whether a comparison of vectors is true for each component.

    >>> from gpucore import Array, all_of, f32, gpu_kernel, vec2f
    >>> @gpu_kernel
    ... def example(x: Array[f32]) -> Array[f32]:
    ...     return 1.0 if all_of(vec2f(x) > vec2f(1, 2)) else 0.0
    >>> "all(" in example.source()
    True
    """
    raise outside_error("all_of(...)")
