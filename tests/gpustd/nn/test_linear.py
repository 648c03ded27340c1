"""linear: names and layout; the product itself is tested as gpustd.gemm."""

from __future__ import annotations

import numpy as np
import pytest

from gpucore import Device, ShapeError, f32
from gpustd import nn
from tests.gpustd.nn.oracle import EPS, check, drawn, up


@pytest.mark.parametrize("bias", [False, True])
def test_matches_float64(device: Device, bias: bool) -> None:
    x, w, b = drawn(0, (2, 3, 8)), drawn(1, (8, 12)), drawn(2, (12,))
    result = nn.linear(up(device, x), up(device, w), up(device, b) if bias else None).read()
    wide, weights = x.astype(np.float64), w.astype(np.float64)
    expected = wide @ weights + (b if bias else 0)
    allowed = EPS * 10 * (np.abs(wide) @ np.abs(weights) + np.abs(b))
    check(device, "linear", result, expected, allowed)


def test_refuses(device: Device) -> None:
    with pytest.raises(ShapeError, match="gemm"):
        nn.linear(device.buffer(f32, (2, 3)), device.buffer(f32, (4, 5)))
