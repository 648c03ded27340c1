"""Differences of two images of one shape, element by element."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gpucore import Buffer, T
from gpustd.launch.elements import launch_each, words_of
from gpustd.launch.template import Value

__all__ = ["sharpen", "subtract_images"]


def subtract_images(a: Buffer[T], b: Buffer[T]) -> Buffer[T]:
    """Return ``a - b``; u8 stops at 0."""
    return _combine("difference", a, b)


def sharpen(image: Buffer[T], blurred: Buffer[Any], amount: float, threshold: float) -> Buffer[T]:
    """Return ``image + amount (image - blurred)`` where the difference reaches ``threshold``.

    The result has the dtype of ``image``; ``blurred`` has the same or is f32.
    """
    return _combine("sharpened", image, blurred, {"amount": amount, "threshold": threshold})


def _combine(
    kind: str, a: Buffer[T], b: Buffer[Any], sizes: Mapping[str, float] | None = None
) -> Buffer[T]:
    """Return the result of ``image/pair.wgsl``, in the dtype of ``a``."""
    result = a.device.buffer(a.dtype, a.shape)
    spec: dict[str, Value] = {
        "kind": kind,
        "source": a.dtype.name,
        "other": b.dtype.name,
        "target": a.dtype.name,
    }
    launch_each("image/pair.wgsl", spec, (a, b, result), words_of(a.size), sizes)
    return result
