"""Arithmetic element by element, in f32 whatever the storage type."""

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
    """Sum of coefficient times buffer over 1 to 8 terms of one shape, f16 or f32.

    The sum runs from the first term to the last in f32 and is rounded once. A term whose
    coefficient is 0 still counts: a NaN in it stays. Raises `ArgumentError`, `ShapeError`,
    `DTypeError`, and `LimitError` where the device takes fewer buffers in a kernel.

    >>> import numpy as np
    >>> import gpustd
    >>> from gpucore import Device
    >>> device = Device.auto()
    >>> x = device.buffer_from_array(np.array([1, 2], np.float32))
    >>> gpustd.linear_combination([(2.0, x), (-0.5, x)]).read().tolist()
    [1.5, 3.0]
    """
    _check_terms("linear_combination", terms)
    first = terms[0][1]
    y = first.device.buffer(first.dtype, first.shape)
    _combine("linear_combination", terms, y)
    return y


def combine_into(y: Buffer[Any], terms: Terms) -> None:
    """Write a linear combination to ``y``, f16 or f32 whatever the terms are.

    ``y`` may hold the terms' shape several times along axis 0: the sum is then repeated, as a
    guided batch wants it. Raises as `linear_combination`, `ShapeError` among them.

    >>> import numpy as np
    >>> import gpustd
    >>> from gpucore import Device, f32
    >>> device = Device.auto()
    >>> x = device.buffer_from_array(np.array([[1, 2]], np.float32))
    >>> y = device.buffer(f32, (2, 2))
    >>> gpustd.combine_into(y, [(3.0, x)])
    >>> y.read().tolist()
    [[3.0, 6.0], [3.0, 6.0]]
    """
    _check_terms("combine_into", terms)
    require_buffers("combine_into", y)
    shape = terms[0][1].shape
    whole = bool(shape) and y.shape[1:] == shape[1:] and len(y.shape) == len(shape)
    if y.shape != shape and not (whole and shape[0] and y.shape[0] % shape[0] == 0):
        raise ShapeError(f"combine_into: {y.shape} is not {shape} once or several times")
    _combine("combine_into", terms, y)


def _check_terms(op: str, terms: Any) -> None:
    if not isinstance(terms, Sequence) or not all(
        isinstance(term, Sequence) and not isinstance(term, str) and len(term) == 2
        for term in terms
    ):
        raise ArgumentError(f"{op}: terms {terms!r}: wants a list of pairs (number, buffer)")
    for number, buffer in terms:
        require_buffers(op, buffer)
        as_float(op, "number", number)
    if not 1 <= len(terms) <= _MOST_TERMS:
        raise ArgumentError(f"{op}: {len(terms)} terms; takes 1 to {_MOST_TERMS}")
    buffers = [buffer for _, buffer in terms]
    _check_shapes(op, buffers)
    device = buffers[0].device
    most = device.limits.get(_BUFFER_LIMIT, _MOST_TERMS + 1)
    if len(terms) >= most:
        raise LimitError(
            f"{op}: {len(terms)} terms and a result, and {device!r} takes "
            f"{most} buffers in a kernel: combine some of them first"
        )


def _combine(op: str, terms: Terms, y: Buffer[Any]) -> None:
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
    """Classifier-free guidance: (2 B, ...), unconditional half first, to (B, ...).

    ``g = u + scale (c - u)`` of each image of both halves (Ho and Salimans 2022, arXiv 2207.12598),
    f16 or f32. With ``plus``, a weight and a buffer of the result's shape, it is ``factor g +
    weight buffer`` in that buffer's dtype: a model's output becomes an estimate of the image in
    the same launch. Raises `ShapeError` for an odd batch or another shape, `ArgumentError` for a
    factor without ``plus``, `DTypeError`.

    >>> import numpy as np
    >>> import gpustd
    >>> from gpucore import Device
    >>> device = Device.auto()
    >>> both = device.buffer_from_array(np.array([[1.0], [2.0]], np.float32))
    >>> gpustd.guidance(both, 7.0).read().tolist()
    [[8.0]]
    """
    require_buffers("guidance", x)
    scale, factor = as_float("guidance", "scale", scale), as_float("guidance", "factor", factor)
    if not x.shape or x.shape[0] % 2:
        raise ShapeError(f"guidance: {x.shape}: wants an even batch, unconditional half first")
    if plus is None and factor != 1:
        raise ArgumentError("guidance: a factor goes with `plus`")
    shape = (x.shape[0] // 2, *x.shape[1:])
    weight, base = (0.0, x) if plus is None else _pair(plus)
    if plus is not None and base.shape != shape:
        raise ShapeError(f"guidance: {base.shape} to add to {shape}: make them equal")
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


def _pair(plus: Any) -> tuple[float, Buffer[Any]]:
    """Weight and buffer to add. Raises `ArgumentError`."""
    if not isinstance(plus, Sequence) or len(plus) != 2:
        raise ArgumentError(f"guidance: plus {plus!r}: wants (weight, buffer)")
    require_buffers("guidance", plus[1])
    return as_float("guidance", "plus", plus[0]), plus[1]


def _check_shapes(op: str, buffers: Sequence[Buffer[Any]]) -> None:
    shapes = [b.shape for b in buffers]
    if any(shape != shapes[0] for shape in shapes):
        listed = ", ".join(map(str, shapes))
        raise ShapeError(f"{op}: shapes {listed} differ: nothing is broadcast, make them equal")
