"""linear: names and layout; the product itself is tested as gpustd.gemm."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from gpucore import Device, DType, DTypeError, ShapeError, f16, f32, i32
from gpustd import nn
from tests.draws import draws
from tests.gpustd.nn.oracle import EPS, check, draw_normal, strided_view, supported_dtype, up


@given(
    lead=st.lists(st.sampled_from([1, 2, 3, 7, 0]), min_size=1, max_size=3),
    depth=st.sampled_from([1, 3, 8, 17]),
    columns=st.sampled_from([1, 4, 12, 13]),
    dtype=st.sampled_from([f32, f32, f16]),
    bias=st.booleans(),
    activation=st.sampled_from([None, "relu", "silu"]),
)
@settings(max_examples=draws(20), deadline=None)
def test_matches_float64(
    device: Device,
    lead: list[int],
    depth: int,
    columns: int,
    dtype: type[DType],
    bias: bool,
    activation: str | None,
) -> None:
    dtype = supported_dtype(device, dtype)
    x, w = (
        strided_view(draw_normal(0, (*lead, depth), dtype)),
        draw_normal(1, (columns, depth), dtype).T,
    )
    b = draw_normal(2, (columns,))
    held = up(device, x), up(device, w), up(device, b) if bias else None
    result = nn.linear(*held, activation).read()
    wide, weights = x.astype(np.float64), w.astype(np.float64)
    expected = wide @ weights + (b if bias else 0)
    # A product and a sum for each term and the bias; the activations' slopes are at most 1.1, and
    # they take some 14 roundings of their own.
    allowed = EPS * (depth + 2) * (np.abs(wide) @ np.abs(weights) + np.abs(b))
    if activation == "relu":
        expected = np.maximum(expected, 0)
    if activation == "silu":
        expected = expected * special.expit(expected)
        allowed = 1.1 * allowed + 14 * EPS * np.abs(expected)
    check(device, "linear", result, expected, allowed)


def test_refuses(device: Device) -> None:
    with pytest.raises(ShapeError, match="gemm"):
        nn.linear(device.buffer(f32, (2, 3)), device.buffer(f32, (4, 5)))
    with pytest.raises(ShapeError, match="bias"):
        nn.linear(*(device.buffer(f32, n) for n in ((2, 3), (3, 5), (3,))))
    with pytest.raises(DTypeError, match="gemm"):
        nn.linear(device.buffer(i32, (2, 3)), device.buffer(i32, (3, 5)))
