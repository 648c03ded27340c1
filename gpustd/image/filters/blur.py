"""Gaussian and box blurs, and sharpening by the difference from a blur."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gpucore import ArgumentError, Buffer, T, f32
from gpustd.image.border import REFLECT, Border, as_border
from gpustd.image.differences import sharpen
from gpustd.image.filters.axis_windows import Windows, centred_window
from gpustd.image.filters.separable import filter_separable
from gpustd.image.shapes import MAX_TAPS, image_shape, window_sides
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

    ``sigma`` is in pixels, one number or (vertical, horizontal). The weights reach to ``truncate *
    sigma``, rounded, and sum to 1. `gpustd.image.border` lists ``mode`` and ``cval``. Sums are f32;
    u8 is rounded once, to the nearest, ties upwards. Raises `ShapeError`, `DTypeError`, and
    `ArgumentError` for a negative sigma or truncate and an unknown mode.

    >>> picture = device.buffer_from_array(np.eye(3, dtype=np.uint8) * 200)
    >>> image.gaussian_blur(picture, 0.5).read().tolist()
    [[162, 36, 2], [36, 128, 36], [2, 36, 162]]
    """
    image_shape("gaussian_blur", image)
    down, across = _as_pair("gaussian_blur", "sigma", sigma)
    truncate = as_float("gaussian_blur", "truncate", truncate)
    if not 0 <= truncate < np.inf:
        raise ArgumentError(f"gaussian_blur: truncate must be a finite number >= 0, got {truncate}")
    border = as_border("gaussian_blur", mode, cval)
    windows = _gaussian_windows("gaussian_blur", down, across, truncate)
    return filter_separable(image, windows, "sum", border, image.dtype)


def _gaussian_windows(op: str, down: float, across: float, truncate: float) -> Windows:
    """Return the windows of two Gaussians. Raises `ArgumentError`."""
    weights = (gaussian_weights(op, sigma, truncate) for sigma in (down, across))
    return Windows(*map(centred_window, weights))


def gaussian_weights(op: str, sigma: float, truncate: float) -> NDArray[np.float64]:
    """Return weights at the whole numbers from -r to r, r = round(truncate sigma), that sum to 1.

    Raises `ArgumentError` for more taps than a window may have.
    """
    reach = truncate * sigma
    if not 2 * reach < MAX_TAPS:
        raise ArgumentError(
            f"{op}: sigma times truncate must give a window of at most {MAX_TAPS} taps, got sigma "
            f"{sigma}, truncate {truncate}"
        )
    radius = int(reach + 0.5)
    if radius == 0 or sigma == 0:
        return np.ones(1)
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    return np.asarray(weights / weights.sum())


def box_blur(
    image: Buffer[T], size: int | tuple[int, int], mode: str = "reflect", cval: float = 0.0
) -> Buffer[T]:
    """Return the mean over ``size`` (rows, columns), as `scipy.ndimage.uniform_filter`.

    The window of an even size reaches one further before than after. ``mode`` and ``cval`` are
    those of `gaussian_blur`. u8 is rounded to the nearest, and a tie may go either way. Raises
    `ShapeError`, `DTypeError`, `ArgumentError`.

    >>> picture = device.buffer_from_array(np.eye(3, dtype=np.float32) * 9)
    >>> image.box_blur(picture, 3).read().round(3).tolist()
    [[5.0, 3.0, 1.0], [3.0, 3.0, 3.0], [1.0, 3.0, 5.0]]
    """
    image_shape("box_blur", image)
    down, across = window_sides("box_blur", size)
    border = as_border("box_blur", mode, cval)
    windows = Windows(*(centred_window(np.full(taps, 1 / taps)) for taps in (down, across)))
    return filter_separable(image, windows, "sum", border, image.dtype)


def unsharp_mask(
    image: Buffer[T], sigma: Pair = 1.0, amount: float = 1.0, threshold: float = 0.0
) -> Buffer[T]:
    """Return ``image + amount (image - blurred)`` where the difference reaches ``threshold``.

    ``blurred`` is `gaussian_blur` in f32 with the mode reflect. u8 is rounded and clamped to 0 ..
    255; f32 is not clamped. Raises `ShapeError`, `DTypeError`, `ArgumentError`.

    >>> picture = device.buffer_from_array(np.array([[50, 50, 90, 90]], np.uint8))
    >>> image.unsharp_mask(picture, 0.5).read().tolist()
    [[50, 46, 94, 90]]
    """
    image_shape("unsharp_mask", image)
    down, across = _as_pair("unsharp_mask", "sigma", sigma)
    windows = _gaussian_windows("unsharp_mask", down, across, 4.0)
    blurred: Buffer[f32] = filter_separable(image, windows, "sum", Border(REFLECT), f32)
    amount = as_float("unsharp_mask", "amount", amount)
    threshold = as_float("unsharp_mask", "threshold", threshold)
    return sharpen(image, blurred, amount, threshold)


def _as_pair(op: str, name: str, value: Pair) -> tuple[float, float]:
    """Return a number >= 0 for each axis. Raises `ArgumentError`."""
    numbers = as_floats(op, name, value)
    if numbers.shape not in {(), (2,)} or not ((numbers >= 0) & (numbers < np.inf)).all():
        raise ArgumentError(
            f"{op}: {name} must be a finite number >= 0, or one for each axis, got {value!r}"
        )
    down, across = np.broadcast_to(numbers, 2).tolist()
    return down, across
