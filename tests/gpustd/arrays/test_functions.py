"""Functions of floats against NumPy float64, over their whole ranges."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gpucore import Device, DTypeError, i32
from gpustd import arrays
from tests.gpustd.arrays.operators import draw, on_device, skip_without_f16, ulps
from tests.gpustd.compare import compare

RNG = np.random.default_rng(0)
EDGES = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, np.inf, -np.inf, np.nan]


def around(*parts: Any) -> NDArray[np.float32]:
    return np.concatenate([np.asarray(EDGES), *parts]).astype(np.float32)


NEAR = RNG.normal(0, 2, 300)
SMALL = RNG.normal(0, 1, 100) * np.exp(RNG.uniform(-40, 0, 100))
FAR = RNG.normal(0, 1, 100) * np.exp(RNG.uniform(0, 85, 100))
POSITIVE = np.exp(RNG.uniform(-85, 85, 300))
UNIT = RNG.uniform(-1, 1, 400)

# Operator: operands, and units in the last place of the result, or of the number that follows.
# The count is that of roundings on the way: a series has two or three of half a unit, a division
# or a root 2.5 units by WGSL's rules, a sum of such two adds them.
CASES: dict[str, tuple[NDArray[np.float32], float]] = {
    "sqrt": (around(POSITIVE), 2.5),
    "exp": (around(NEAR, SMALL, RNG.uniform(-87, 88, 300)), 2),
    "exp2": (around(NEAR, SMALL, RNG.uniform(-125, 127, 300), np.arange(-20, 20)), 2),
    "expm1": (around(NEAR, SMALL, RNG.uniform(-87, 88, 300)), 3),
    "log": (around(POSITIVE, 1 + SMALL / 9), 2),
    "log2": (around(POSITIVE, 1 + SMALL / 9), 3),
    "log10": (around(POSITIVE, 1 + SMALL / 9), 3),
    "log1p": (around(POSITIVE, SMALL, UNIT), 3),
    "asin": (around(UNIT, SMALL), 8),
    "acos": (around(UNIT, SMALL), 8),
    "atan": (around(NEAR, SMALL, FAR), 8),
    "sinh": (around(NEAR, SMALL, RNG.uniform(-88, 88, 300)), 8),
    "cosh": (around(NEAR, SMALL, RNG.uniform(-88, 88, 300)), 8),
    "tanh": (around(NEAR, SMALL, FAR), 8),
    "asinh": (around(NEAR, SMALL, FAR), 8),
    "acosh": (around(1 + np.abs(NEAR), 1 + np.abs(FAR)), 8),
    "atanh": (around(UNIT, SMALL), 8),
    "floor": (around(NEAR, FAR), 0),
    "ceil": (around(NEAR, FAR), 0),
    "trunc": (around(NEAR, FAR), 0),
    "round": (around(NEAR, FAR, np.arange(-8, 8) + 0.5), 0),
}


def expected_of(op: str, x: NDArray[Any]) -> NDArray[Any]:
    with np.errstate(all="ignore"):
        return np.asarray(getattr(np, op)(x.astype(np.float64)))


@pytest.mark.parametrize("op", CASES)
def test_functions(device: Device, op: str) -> None:
    x, count = CASES[op]
    expected = expected_of(op, x)
    result = on_device(device, getattr(arrays, op), x)
    compare(device, f"arrays.{op}", result, expected, ulps(expected, count))


@pytest.mark.parametrize("op", ["exp", "log", "tanh", "sin", "round"])
def test_f16_is_rounded_once(device: Device, op: str) -> None:
    skip_without_f16(device, "f16")
    x = np.abs(draw("f16", (401,))) / 2
    expected = expected_of(op, x)
    compare(
        device,
        f"arrays.{op}",
        on_device(device, getattr(arrays, op), x),
        expected,
        ulps(expected, 8, "f16"),
    )


ANGLES = around(NEAR, SMALL, RNG.uniform(-8000, 8000, 300), RNG.uniform(8000, 1e6, 200), FAR)


@pytest.mark.parametrize("op", ["sin", "cos"])
def test_sines(device: Device, op: str) -> None:
    """3 2^-24: below 1 half a unit is 2^-25; the rest angle has three roundings, the series two."""
    expected = expected_of(op, ANGLES)
    result = on_device(device, getattr(arrays, op), ANGLES)
    compare(device, f"arrays.{op}", result, expected, 3 * 2.0**-24)


def test_tan(device: Device) -> None:
    expected = expected_of("tan", ANGLES)
    allowed = 2.0**-21 * (1 + np.where(np.isfinite(expected), expected, 0) ** 2)
    compare(device, "arrays.tan", on_device(device, arrays.tan, ANGLES), expected, allowed)


def test_atan2(device: Device) -> None:
    values = around(NEAR[:5], FAR[:5], SMALL[:5])
    y, x = (a.ravel().copy() for a in np.meshgrid(values, values))
    with np.errstate(all="ignore"):
        expected = np.arctan2(y.astype(np.float64), x.astype(np.float64))
    compare(
        device, "arrays.atan2", on_device(device, arrays.atan2, y, x), expected, ulps(expected, 8)
    )


@pytest.mark.parametrize("decimals", [-2, 0, 1, 3])
def test_decimals(device: Device, decimals: int) -> None:
    """The quotient alone is not exact: 2.5 units in the last place (WGSL, 15.7.4)."""
    x = np.random.default_rng(0).uniform(-900, 900, 999).astype(np.float32)
    found = on_device(device, lambda b: arrays.round(b, decimals), x)
    compare(device, "round", found, np.round(x, decimals), 3 * 2.0**-23 * np.abs(x) + 1e-30)


def test_refuses_integers(device: Device) -> None:
    with pytest.raises(DTypeError, match="round: takes f16, f32, got"):
        arrays.round(device.buffer(i32, 3), -1)
    with pytest.raises(DTypeError, match="exp: takes c64, f16, f32, got"):
        arrays.exp(device.buffer(i32, 3))
