"""Linear combinations of buffers in one launch, in f32 whatever the storage type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar, overload

from gpucore import ArgumentError, Buffer, DType, LimitError, ShapeError, T
from gpucore.integers import ceil_div
from gpustd.launch.checks import as_float, require_buffers
from gpustd.launch.elements import float_scalar, launch_each, width_of
from gpustd.launch.template import Value

__all__ = ["combine_into", "guidance", "linear_combination"]

U = TypeVar("U", bound=DType)
Terms = Sequence[tuple[float, Buffer[Any]]]

_MOST_TERMS = 8
_BUFFER_LIMIT = "max_storage_buffers_per_shader_stage"


def linear_combination(terms: Sequence[tuple[float, Buffer[T]]]) -> Buffer[T]:
    """Return the sum of coefficient times buffer over 1 to 8 terms of one shape, f16 or f32.

    The sum runs from the first term to the last in f32 and is rounded once. A term whose
    coefficient is 0 still counts: a NaN in it stays. Raises `ArgumentError`, `ShapeError`,
    `DTypeError`, and `LimitError` where a kernel of the device binds fewer buffers.

    >>> x = device.buffer_from_array(np.array([1, 2], np.float32))
    >>> gpustd.linear_combination([(2.0, x), (-0.5, x)]).read().tolist()
    [1.5, 3.0]
    """
    _check_terms("linear_combination", terms)
    first = terms[0][1]
    y = first.device.buffer(first.dtype, first.shape)
    _launch_sum("linear_combination", terms, y)
    return y


def combine_into(y: Buffer[Any], terms: Terms) -> None:
    """Write a linear combination to ``y``, f16 or f32 whatever the terms are.

    ``y`` may hold the terms' shape several times along axis 0: the sum is then repeated, as for a
    guided batch. Raises as `linear_combination`, `ShapeError` among them.

    >>> x = device.buffer_from_array(np.array([[1, 2]], np.float32))
    >>> y = device.buffer(f32, (2, 2))
    >>> gpustd.combine_into(y, [(3.0, x)])
    >>> y.read().tolist()
    [[3.0, 6.0], [3.0, 6.0]]
    """
    _check_terms("combine_into", terms)
    require_buffers("combine_into", y)
    shape = terms[0][1].shape
    rows_fit = bool(shape) and y.shape[1:] == shape[1:] and len(y.shape) == len(shape)
    if y.shape != shape and not (rows_fit and shape[0] and y.shape[0] % shape[0] == 0):
        raise ShapeError(f"combine_into: y must be {shape}, once or several times, got {y.shape}")
    _launch_sum("combine_into", terms, y)


def _check_terms(op: str, terms: Any) -> None:
    """Check the terms of a sum. Raises `ArgumentError`, `ShapeError`, `LimitError`."""
    if not isinstance(terms, Sequence) or not all(
        isinstance(term, Sequence) and not isinstance(term, str) and len(term) == 2
        for term in terms
    ):
        raise ArgumentError(f"{op}: terms must be a list of pairs (number, buffer), got {terms!r}")
    for number, buffer in terms:
        require_buffers(op, buffer)
        as_float(op, "number", number)
    if not 1 <= len(terms) <= _MOST_TERMS:
        raise ArgumentError(f"{op}: there must be 1 to {_MOST_TERMS} terms, got {len(terms)}")
    buffers = [buffer for _, buffer in terms]
    if len({buffer.shape for buffer in buffers}) > 1:
        shapes = ", ".join(str(buffer.shape) for buffer in buffers)
        raise ShapeError(f"{op}: shapes must be equal, got {shapes}; nothing is broadcast")
    device = buffers[0].device
    most = device.limits.get(_BUFFER_LIMIT, _MOST_TERMS + 1)
    if len(terms) >= most:
        raise LimitError(
            f"{op}: there must be at most {most - 1} terms on {device!r}, which binds {most} "
            f"buffers in a kernel, got {len(terms)}; combine some of them first"
        )


def _launch_sum(op: str, terms: Terms, y: Buffer[Any]) -> None:
    """Record the sum of checked terms."""
    buffers = [buffer for _, buffer in terms]
    size = buffers[0].size
    repeated = y.size != size
    width = width_of(size) if repeated else 4
    spec: dict[str, Value] = {
        "scalar": float_scalar(op, *buffers),
        "target": float_scalar(op, y),
        "width": width,
        "terms": len(terms),
        "repeated": repeated,
    }
    sizes: dict[str, int | float] = {f"c{i}": c for i, (c, _) in enumerate(terms)}
    sizes["period"] = ceil_div(size, width)
    count = ceil_div(y.size, width)
    launch_each("arrays/combination/combination.wgsl", spec, (*buffers, y), count, sizes)


@overload
def guidance(x: Buffer[T], scale: float) -> Buffer[T]: ...
@overload
def guidance(
    x: Buffer[Any], scale: float, *, factor: float, plus: tuple[float, Buffer[U]]
) -> Buffer[U]: ...
def guidance(
    x: Buffer[Any],
    scale: float,
    *,
    factor: float = 1.0,
    plus: tuple[float, Buffer[Any]] | None = None,
) -> Buffer[Any]:
    """Apply classifier-free guidance: (2 B, ...), unconditional half first, to (B, ...).

    The result is ``g = u + scale (c - u)`` of each image of both halves, f16 or f32 (Ho and
    Salimans 2022, arXiv 2207.12598). With ``plus``, a weight and a buffer of the result's shape, it
    is ``factor g + weight buffer`` in that buffer's dtype. So a model's output becomes an estimate
    of the image in the same launch. Raises `ShapeError` for an odd batch or another shape,
    `ArgumentError` for a factor without ``plus``, `DTypeError`.

    >>> halves = device.buffer_from_array(np.array([[1.0], [2.0]], np.float32))
    >>> gpustd.guidance(halves, 7.0).read().tolist()
    [[8.0]]
    """
    require_buffers("guidance", x)
    scale, factor = as_float("guidance", "scale", scale), as_float("guidance", "factor", factor)
    if not x.shape or x.shape[0] % 2:
        raise ShapeError(f"guidance: x must have an even batch, got {x.shape}")
    if plus is None and factor != 1:
        raise ArgumentError(f"guidance: factor must be 1 without plus, got {factor}")
    shape = (x.shape[0] // 2, *x.shape[1:])
    weight, base = (0.0, x) if plus is None else _check_plus(plus)
    if plus is not None and base.shape != shape:
        raise ShapeError(f"guidance: the buffer of plus must be {shape}, got {base.shape}")
    y = x.device.buffer(base.dtype, shape)
    width = width_of(y.size)
    spec: dict[str, Value] = {
        "scalar": float_scalar("guidance", x),
        "target": float_scalar("guidance", base),
        "width": width,
        "plus": plus is not None,
    }
    sizes = {"scale": scale, "factor": factor, "weight": weight}
    buffers = (x, base, y) if plus is not None else (x, y)
    launch_each("arrays/combination/guidance.wgsl", spec, buffers, y.size // width, sizes)
    return y


def _check_plus(plus: Any) -> tuple[float, Buffer[Any]]:
    """Return the weight and the buffer to add. Raises `ArgumentError`."""
    if not isinstance(plus, Sequence) or len(plus) != 2:
        raise ArgumentError(f"guidance: plus must be (weight, buffer), got {plus!r}")
    require_buffers("guidance", plus[1])
    return as_float("guidance", "plus", plus[0]), plus[1]
