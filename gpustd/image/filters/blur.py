"""Blurring: Gaussian and box, and sharpening by what a blur takes away."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gpucore import ArgumentError, Buffer, T, f32
from gpustd.image.border import border_of
from gpustd.image.filters.axis import weighted
from gpustd.image.filters.separable_window import separable
from gpustd.image.pairs import combined
from gpustd.image.picture import MOST_TAPS, picture_of, sides_of
from gpustd.launch.checks import as_float, as_floats

__all__ = ["box_blur", "gaussian_blur", "gaussian_weights", "unsharp_mask"]

Pair = float | tuple[float, float]


def gaussian_blur(
    image: Buffer[T],
    sigma: Pair,
    truncate: float = 4.0,
    mode: str = "reflect",
    cval: float = 0.0,
) -> Buffer[T]:
    """Convolve with a Gaussian, as `scipy.ndimage.gaussian_filter` over height and width.

    ``sigma`` is in pixels, one number or (vertical, horizontal); the weights reach to
    ``truncate * sigma``, rounded, and sum to 1. ``mode`` and ``cval``: `gpustd.image.border`.
    Sums are f32; u8 is rounded once, to the nearest, ties upwards.
    Raises `ShapeError`, `DTypeError`, `ArgumentError` (sigma < 0, truncate < 0, a wrong mode).

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import image
    >>> device = Device.auto()
    >>> picture = device.buffer_from_array(np.eye(3, dtype=np.uint8) * 200)
    >>> image.gaussian_blur(picture, 0.5).read().tolist()
    [[162, 36, 2], [36, 128, 36], [2, 36, 162]]
    """
    picture_of("gaussian_blur", image)
    down, across = _pair("gaussian_blur", "sigma", sigma)
    truncate = as_float("gaussian_blur", "truncate", truncate)
    if not 0 <= truncate < np.inf:
        raise ArgumentError(f"gaussian_blur: truncate {truncate}: wants a number >= 0")
    border = border_of("gaussian_blur", mode, cval)
    windows = tuple(
        weighted(gaussian_weights("gaussian_blur", s, truncate)) for s in (down, across)
    )
    return separable(image, (windows[0], windows[1]), "sum", border, image.dtype)


def gaussian_weights(op: str, sigma: float, truncate: float) -> NDArray[np.float64]:
    """Weights at the whole numbers from -r to r, r = round(truncate sigma), that sum to 1.

    Raises `ArgumentError` for more than a window may have.
    """
    reach = truncate * sigma
    if not 2 * reach < MOST_TAPS:
        raise ArgumentError(
            f"{op}: sigma {sigma} with weights up to {truncate} sigma: a window has at most "
            f"{MOST_TAPS} taps"
        )
    radius = int(reach + 0.5)
    if radius == 0 or sigma == 0:
        return np.ones(1)
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    return np.asarray(weights / weights.sum())


def box_blur(
    image: Buffer[T], size: int | tuple[int, int], mode: str = "reflect", cval: float = 0.0
) -> Buffer[T]:
    """Mean over ``size`` (rows, columns), as `scipy.ndimage.uniform_filter`.

    The window of an even size reaches one further before than after. ``mode`` and ``cval`` as
    `gaussian_blur`; u8 is rounded to the nearest, and a tie may go either way.
    Raises `ShapeError`, `DTypeError`, `ArgumentError`.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import image
    >>> device = Device.auto()
    >>> picture = device.buffer_from_array(np.eye(3, dtype=np.float32) * 9)
    >>> image.box_blur(picture, 3).read().round(3).tolist()
    [[5.0, 3.0, 1.0], [3.0, 3.0, 3.0], [1.0, 3.0, 5.0]]
    """
    picture_of("box_blur", image)
    down, across = sides_of("box_blur", size)
    border = border_of("box_blur", mode, cval)
    windows = (weighted(np.full(down, 1 / down)), weighted(np.full(across, 1 / across)))
    return separable(image, windows, "sum", border, image.dtype)


def unsharp_mask(
    image: Buffer[T], sigma: Pair = 1.0, amount: float = 1.0, threshold: float = 0.0
) -> Buffer[T]:
    """``image + amount (image - blurred)`` where the difference is at least ``threshold``.

    ``blurred`` is `gaussian_blur` of f32 precision with the mode reflect. u8 is rounded and
    clamped to 0 .. 255, f32 is not clamped. Raises `ShapeError`, `DTypeError`, `ArgumentError`.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import image
    >>> device = Device.auto()
    >>> picture = device.buffer_from_array(np.array([[50, 50, 90, 90]], np.uint8))
    >>> image.unsharp_mask(picture, 0.5).read().tolist()
    [[50, 46, 94, 90]]
    """
    picture_of("unsharp_mask", image)
    down, across = _pair("unsharp_mask", "sigma", sigma)
    windows = (
        weighted(gaussian_weights("unsharp_mask", down, 4.0)),
        weighted(gaussian_weights("unsharp_mask", across, 4.0)),
    )
    blurred: Buffer[f32] = separable(image, windows, "sum", (0, 0.0), f32)
    sizes = {
        "amount": as_float("unsharp_mask", "amount", amount),
        "threshold": as_float("unsharp_mask", "threshold", threshold),
    }
    return combined("sharpened", image, blurred, sizes)


def _pair(op: str, name: str, value: Pair) -> tuple[float, float]:
    """A number for each axis, not negative. Raises `ArgumentError`."""
    given = as_floats(op, name, value)
    if given.shape not in {(), (2,)} or not ((given >= 0) & (given < np.inf)).all():
        raise ArgumentError(f"{op}: {name} {value!r}: wants a number >= 0, or one for each axis")
    down, across = np.broadcast_to(given, 2).tolist()
    return down, across
