"""pad against numpy.pad."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpucore import ArgumentError, Device, DType, ShapeError, f16, f32, i32, u32
from gpustd import nn
from tests.draws import draws
from tests.gpustd.nn.oracle import strided_view, supported_dtype, up

MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
# The most elements that a mode has beyond an axis of so many.
MOST: dict[str, Callable[[int], float]] = {
    "constant": lambda n: math.inf,
    "reflect": lambda n: max(n - 1, 0),
    "replicate": lambda n: math.inf if n else 0,
    "circular": lambda n: n,
}
PAIRS = st.tuples(st.integers(0, 3), st.integers(0, 3))


def check_pad(device: Device, x: Any, pairs: list[tuple[int, int]], mode: Any) -> None:
    shape = [n + sum(p) for n, p in zip(x.shape[1:-1], pairs, strict=True)]
    poison = x.shape[0] * int(np.prod(shape)) * x.shape[-1] * x.itemsize
    value = 3.0 if mode == "constant" else 0.0
    result = nn.pad(up(device, x, poison=poison), pairs, mode, value).read()
    extra = {"constant_values": value} if mode == "constant" else {}
    widths = [(0, 0), *pairs, (0, 0)]
    np.testing.assert_array_equal(result, np.pad(x, widths, MODES[mode], **extra))


@given(
    extents=st.lists(st.sampled_from([1, 2, 3, 5, 7, 0]), min_size=1, max_size=3),
    data=st.data(),
    mode=st.sampled_from(sorted(MODES)),
    channels=st.sampled_from([1, 4, 5]),
    dtype=st.sampled_from([f32, f16, i32, u32]),
)
@settings(max_examples=draws(40), deadline=None)
def test_matches_numpy(
    device: Device,
    extents: list[int],
    data: st.DataObject,
    mode: str,
    channels: int,
    dtype: type[DType],
) -> None:
    """Padding beyond the elements that a mode can take raises."""
    pairs = [data.draw(PAIRS) for _ in extents]
    shape = (2, *extents, channels)
    numbers = np.arange(np.prod(shape)).reshape(shape).astype(supported_dtype(device, dtype).numpy)
    if any(max(pair) > MOST[mode](n) for pair, n in zip(pairs, extents, strict=True)):
        with pytest.raises(ArgumentError, match="padding must be at most"):
            nn.pad(up(device, numbers), pairs, mode)  # type: ignore[arg-type]
        return
    check_pad(device, strided_view(numbers), pairs, mode)


@pytest.mark.parametrize("mode", MODES)
def test_each_mode(device: Device, mode: str) -> None:
    numbers = np.arange(2 * 5 * 4 * 3, dtype=np.float32).reshape(2, 5, 4, 3)
    check_pad(device, numbers, [(3, 2), (1, 3)], mode)


def test_refuses(device: Device) -> None:
    x = device.buffer(f32, (1, 4, 4, 2))
    with pytest.raises(ArgumentError, match="padding must be at most"):
        nn.pad(x, 4, "reflect")
    with pytest.raises(ArgumentError, match="padding must be at most"):
        nn.pad(x, [(5, 0), (0, 0)], "circular")
    with pytest.raises(ArgumentError, match="2 pairs"):
        nn.pad(x, [(1, 1)])
    with pytest.raises(ArgumentError, match="one of constant"):
        nn.pad(x, 1, "wrap")  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="pad"):
        nn.pad(device.buffer(f32, (4, 2)), 1)
