"""Random operands of convolutions, their keyword arguments, and the check against float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from gpucore import Device, DType, f16, f32
from tests.gpustd.reference import conv as oracle
from tests.gpustd.reference.conv import Case

__all__ = ["EPS", "MOST_POISONED", "cases", "check", "draw", "keywords", "sources"]

Array = NDArray[Any]

EPS: dict[type[DType], float] = {f32: float(np.finfo(np.float32).eps), f16: 2.0**-10}
# Elements of memory that a test fills with NaN: a software renderer has 128 MiB for a buffer.
MOST_POISONED = 2**24


def draw(case: Case, dtype: type[DType], seed: int) -> dict[str, Array]:
    """Return random operands, rounded to the storage type; ``x`` holds both sources."""
    rng = np.random.default_rng(seed)
    channels = case.channels + case.second
    shapes: dict[str, tuple[int, ...]] = {
        "x": (case.images, case.height, case.width, channels),
        "w": (case.kernel, case.kernel, channels, case.outputs),
    }
    if case.per_image:
        shapes["per_image"] = (case.images, case.outputs)
    operands: dict[str, Array] = {
        name: rng.standard_normal(shape).astype(dtype.numpy) for name, shape in shapes.items()
    }
    operands["bias"] = rng.standard_normal(case.outputs).astype(np.float32)
    if case.residual:
        shape = oracle.convolve(case, operands["x"], operands["w"]).shape
        operands["residual"] = rng.standard_normal(shape).astype(dtype.numpy)
    return operands


def keywords(device: Device, case: Case, operands: dict[str, Array]) -> dict[str, Any]:
    """Return the keyword arguments of a convolution, without its window."""
    up = device.buffer_from_array
    return {
        "bias": up(operands["bias"]),
        "upsample": case.upsample,
        "second": up(sources(case, operands)[1]) if case.second else None,
        "per_image": up(operands["per_image"]) if case.per_image else None,
        "residual": up(operands["residual"]) if case.residual else None,
        "activation": case.activation,
        "wrap": case.wrap,
    }


def sources(case: Case, operands: dict[str, Array]) -> tuple[Array, Array]:
    """Return the image's channels, and those of the second source."""
    x, cut = operands["x"], case.channels
    return np.ascontiguousarray(x[..., :cut]), np.ascontiguousarray(x[..., cut:])


def check(
    case: Case,
    operands: dict[str, Array],
    result: Array,
    eps: float,
    bound: Callable[..., Array] = oracle.bound,
) -> None:
    """Fail unless a result is as near to float64 as ``bound`` allows."""
    wide = {name: array.astype(np.float64) for name, array in operands.items()}
    expected = oracle.reference(
        case, wide["x"], wide["w"], wide["bias"], wide.get("per_image"), wide.get("residual")
    )
    error = np.abs(result.astype(np.float64) - expected)
    allowed = bound(case, wide["x"], wide["w"], expected, eps)
    assert result.shape == expected.shape
    assert np.all(error <= allowed), f"worst {np.max(error / allowed):.2f} of what is allowed"


@st.composite
def cases(make: st.DrawFn) -> Case:
    """Draw convolutions with every part of the epilogue, of images from none to 7 x 7."""
    kernel = make(st.sampled_from([1, 2, 3, 5]))
    height, width = make(st.tuples(*[st.integers(1, 7)] * 2))
    up = make(st.sampled_from([None, (2 * height, 2 * width), (2 * height - 1, 2 * width)]))
    tall, wide = up or (height, width)
    wrap = make(st.sampled_from(["", "", "x", "y", "xy"]))
    most = min(2, tall, wide)
    pads = make(st.tuples(*[st.integers(0, most)] * 4))
    return Case(
        images=make(st.integers(0, 2)),
        height=height,
        width=width,
        channels=make(st.sampled_from([1, 3, 4, 8, 13])),
        outputs=make(st.sampled_from([1, 3, 4, 12, 17])),
        kernel=min(kernel, tall, wide),
        stride=make(st.integers(1, 3)),
        padding=pads,
        upsample=up,
        second=make(st.sampled_from([0, 0, 3, 8])),
        per_image=make(st.booleans()),
        residual=make(st.booleans()),
        activation=make(st.sampled_from([None, "silu", "relu", "gelu"])),
        wrap=wrap,
    )
