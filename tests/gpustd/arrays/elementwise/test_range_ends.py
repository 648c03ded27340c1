"""Exponentials up to the end of f32's range, and remainders down to its subnormal numbers.

A card may take a subnormal operand for 0 and give 0 for a subnormal result (WGSL, 15.7.2), and may
compute a product of three factors in any order (15.7.5).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gpucore import Device
from gpustd import arrays
from tests.draws import draws
from tests.gpustd.arrays.operators import EPS, on_device

Array = NDArray[Any]

LARGEST = float(np.finfo(np.float32).max)
ENDS = {"exp": 128, "expm1": 128, "sinh": 129, "cosh": 129}
"""The power of two whose logarithm is the first argument without a finite result."""

SMALL = st.integers(1, 0x1800000)
"""The bits of a number below 2^-79, most often near the subnormal ones."""


def around(x: float, count: int) -> Array:
    """Numbers of f32 near x, ``count`` on each side, without a gap."""
    bits = np.float32(x).view(np.int32)
    return np.arange(bits - count, bits + count + 1, dtype=np.int32).view(np.float32)


@pytest.mark.parametrize("op", ENDS)
def test_every_number_at_the_end_of_the_range(device: Device, op: str) -> None:
    """All finite results are there; what is beyond f32 by more than the error is infinite."""
    edges = [np.log(2.0) * n for n in (127, 127.5, 128, 128.5, 129)]
    x = np.concatenate([around(edge, 3000) for edge in edges])
    found = on_device(device, getattr(arrays, op), x).astype(np.float64)
    with np.errstate(over="ignore"):
        expected = getattr(np, op)(x.astype(np.float64))
    inside = expected < LARGEST * (1 - 4 * EPS)
    np.testing.assert_allclose(found[inside], expected[inside], rtol=3 * EPS)
    assert np.all(np.isinf(found[expected > LARGEST * (1 + 4 * EPS)]))
    assert x[inside].max() > np.log(2.0) * ENDS[op] - 1e-5


def test_exp2_is_exact_for_whole_numbers(device: Device) -> None:
    x = np.arange(-126, 130, dtype=np.float32)
    with np.errstate(over="ignore"):
        expected = np.exp2(x.astype(np.float64)).astype(np.float32)
    np.testing.assert_array_equal(on_device(device, arrays.exp2, x), expected)


@settings(max_examples=draws(20), deadline=None)
@given(st.lists(st.tuples(SMALL, SMALL, st.booleans(), st.booleans()), min_size=1, max_size=64))
def test_remainders_of_small_numbers(
    device: Device, pairs: list[tuple[int, int, bool, bool]]
) -> None:
    """Remainders are exact; a result that is subnormal may be 0.

    No operand is flushed: those are taken apart as integers, and loads and stores keep bits.
    """
    x, y = (np.array([p[k] for p in pairs], np.uint32).view(np.float32) for k in (0, 1))
    x, y = (v * np.array([1 - 2 * p[k] for p in pairs], np.float32) for v, k in ((x, 2), (y, 3)))
    found = on_device(device, arrays.remainder, x, y)
    expected = np.remainder(x.astype(np.float64), y.astype(np.float64)).astype(np.float32)
    flushed = (np.abs(expected) < 2.0**-126) & (found == 0)
    np.testing.assert_array_equal(np.where(flushed, expected, found), expected)
    quotients = on_device(device, arrays.floor_divide, x, y)
    whole = np.floor_divide(x.astype(np.float64), y.astype(np.float64))
    # Division errs by 2.5 units (WGSL, 15.7.4), the difference before it by half a unit.
    allowed = np.where(np.abs(whole) < 2**20, 0, 3 * EPS * np.abs(whole))
    assert np.all(np.abs(quotients - whole) <= allowed)
