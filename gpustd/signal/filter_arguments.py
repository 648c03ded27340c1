"""Coefficients and states of linear filters, checked and brought into the form of a cascade."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gpucore import ArgumentError, Buffer, ShapeError, T
from gpustd.launch.checks import as_floats, require_buffers
from gpustd.signal.cascade import MAX_STATES, Cascade

__all__ = ["as_sections", "normalise", "one_section", "require_states"]

Array = NDArray[np.float64]


def one_section(op: str, numerator: Array, denominator: Array, order: int) -> Cascade:
    """Return a filter as a cascade of one section. Raises `ArgumentError` for too high an order."""
    if order > MAX_STATES:
        advice = "leave zi out" if len(denominator) == 1 else "use sections (sosfilt)"
        raise ArgumentError(f"{op}: the order must be at most {MAX_STATES}, got {order}; {advice}")
    b, a = (np.pad(each, (0, order + 1 - len(each))) for each in (numerator, denominator))
    return Cascade(b[None], a[None])


def as_sections(op: str, sos: ArrayLike) -> Cascade:
    """Return rows of sections as a cascade. Raises `ShapeError`, `ArgumentError`."""
    rows = _as_coefficients(op, sos)
    if rows.ndim != 2 or rows.shape[1] != 6 or not len(rows):
        raise ShapeError(f"{op}: sos must be (sections, 6), got shape {rows.shape}")
    if 2 * len(rows) > MAX_STATES:
        raise ArgumentError(
            f"{op}: sos must have at most {MAX_STATES // 2} sections, got {len(rows)}; filter by "
            "some of them at a time"
        )
    if np.any(rows[:, 3] != 1):
        raise ArgumentError(f"{op}: sos[:, 3], the a0 of sections, must be 1, got {rows[:, 3]}")
    return Cascade(rows[:, :3].copy(), rows[:, 3:].copy())


def normalise(op: str, b: ArrayLike, a: ArrayLike) -> tuple[Array, Array]:
    """Return b and a divided by a0. Raises `ArgumentError`, `ShapeError`."""
    numerator, denominator = (np.atleast_1d(_as_coefficients(op, each)) for each in (b, a))
    if numerator.ndim > 1 or denominator.ndim > 1 or not numerator.size or not denominator.size:
        raise ShapeError(
            f"{op}: b and a must have one axis each and elements, got shapes {numerator.shape} and "
            f"{denominator.shape}"
        )
    if denominator[0] == 0:
        raise ArgumentError(f"{op}: a[0] must not be zero, got {denominator}")
    with np.errstate(over="ignore"):
        numerator, denominator = numerator / denominator[0], denominator / denominator[0]
    return _as_coefficients(op, numerator), _as_coefficients(op, denominator)


def _as_coefficients(op: str, values: ArrayLike) -> Array:
    """Return coefficients in float64. Raises `ArgumentError`."""
    numbers = as_floats(op, "coefficients", values)
    if not (np.abs(numbers) <= np.finfo(np.float32).max).all():
        raise ArgumentError(f"{op}: coefficients must be finite numbers of f32, got {values!r}")
    return numbers


def require_states(op: str, x: Buffer[T], zi: Buffer[T], shape: tuple[int, ...]) -> None:
    """Raise `ShapeError` unless ``zi`` has this shape and the dtype of ``x``."""
    require_buffers(op, zi)
    if zi.shape != shape or zi.dtype is not x.dtype:
        raise ShapeError(f"{op}: zi must be {x.dtype.name} of shape {shape}, got {zi!r} for {x!r}")
