"""Two images of one shape, element by element."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from gpucore import Buffer, T
from gpustd.launch.elements import launch_each, words_of
from gpustd.launch.template import Value

__all__ = ["combined"]


def combined(
    kind: Literal["difference", "sharpened"],
    a: Buffer[T],
    b: Buffer[Any],
    sizes: Mapping[str, float] | None = None,
) -> Buffer[T]:
    """``a - b``, or ``a + amount (a - b)`` where the difference reaches ``threshold``.

    The result has the dtype of ``a``; ``b`` has the same or is f32.
    """
    result = a.device.buffer(a.dtype, a.shape)
    spec: dict[str, Value] = {
        "kind": kind,
        "source": a.dtype.name,
        "other": b.dtype.name,
        "target": a.dtype.name,
    }
    launch_each("image/pair.wgsl", spec, (a, b, result), words_of(a.size), sizes)
    return result
