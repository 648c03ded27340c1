"""Rounding against NumPy float64."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gpucore import Device
from gpustd import arrays
from gpustd.arrays.elementwise import rounding
from tests.draws import draws
from tests.gpustd.arrays.elementwise_properties import properties_of
from tests.gpustd.arrays.operators import held_by, on_device
from tests.gpustd.compare import compare

test_equal_shapes, test_broadcasting, test_refusals = properties_of(rounding.__all__)


@settings(max_examples=draws(8), deadline=None)
@given(
    st.sampled_from([(), (0,), (1,), (3, 7), (131,)]),
    st.sampled_from(["f32", "f16"]),
    st.integers(-3, 4),
    st.integers(0, 10**6),
)
def test_decimals(
    device: Device, shape: tuple[int, ...], dtype: str, decimals: int, seed: int
) -> None:
    """Quotients alone are not exact: 2.5 units in the last place (WGSL, 15.7.4).

    As in NumPy, the product before rounding is rounded to the dtype, too. Where a quotient comes
    before it and is so near to a half, either whole number will do.
    """
    kind = np.float16 if held_by(device, dtype) == "f16" else np.float32
    top = 6 if kind is np.float16 else 900
    x = np.asarray(np.random.default_rng(seed).uniform(-top, top, shape)).astype(kind)
    found = on_device(device, lambda b: arrays.round(b, decimals), x)
    scale = kind(10.0 ** abs(decimals))
    moved = x * scale if decimals > 0 else x / scale
    whole = np.round(moved).astype(np.float64)
    expected = whole / float(scale) if decimals > 0 else whole * float(scale)
    near = np.abs(np.abs(moved - np.floor(moved)) - 0.5) <= 3 * 2.0**-23 * np.abs(moved)
    either = np.where(near & (decimals < 0), float(scale), 0)
    unit = 2.0**-10 if kind is np.float16 else 3 * 2.0**-23
    compare(device, "arrays.round", found, expected, unit * np.abs(expected) + either + 1e-30)
