"""pad against numpy.pad."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpucore import ArgumentError, Device, DType, ShapeError, f16, f32, i32, u32
from gpustd import nn
from tests.gpustd.nn.oracle import up

MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
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
    pairs=st.lists(PAIRS, min_size=1, max_size=3),
    mode=st.sampled_from(sorted(MODES)),
    channels=st.sampled_from([1, 4, 5]),
)
@settings(max_examples=15, deadline=None)
def test_matches_numpy(
    device: Device, pairs: list[tuple[int, int]], mode: str, channels: int
) -> None:
    shape = (2, *(4, 5, 6)[: len(pairs)], channels)
    check_pad(device, np.arange(np.prod(shape), dtype=np.float32).reshape(shape), pairs, mode)


@pytest.mark.parametrize("dtype", [f32, f16, i32, u32], ids=lambda d: d.name)
def test_each_dtype(device: Device, dtype: type[DType]) -> None:
    x = np.arange(40).reshape(1, 2, 5, 4).astype(dtype.numpy)
    check_pad(device, x, [(2, 1), (0, 3)], "constant")


def test_refuses(device: Device) -> None:
    x = device.buffer(f32, (1, 4, 4, 2))
    with pytest.raises(ArgumentError, match="reaches too far"):
        nn.pad(x, 4, "reflect")
    with pytest.raises(ArgumentError, match="reaches too far"):
        nn.pad(x, [(5, 0), (0, 0)], "circular")
    with pytest.raises(ArgumentError, match="2 pairs"):
        nn.pad(x, [(1, 1)])
    with pytest.raises(ArgumentError, match="one of constant"):
        nn.pad(x, 1, "wrap")  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="pad"):
        nn.pad(device.buffer(f32, (4, 2)), 1)
