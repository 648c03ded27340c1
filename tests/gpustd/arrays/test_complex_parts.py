"""Parts of complex numbers against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from gpucore import Device, DTypeError, f32
from gpustd import arrays
from tests.gpustd.arrays.operators import draw, on_device


@pytest.mark.parametrize("op", ["real", "imag", "conjugate"])
def test_parts(device: Device, op: str) -> None:
    x = draw("c64", (3, 7))
    np.testing.assert_array_equal(on_device(device, getattr(arrays, op), x), getattr(np, op)(x))


def test_refuses_reals(device: Device) -> None:
    with pytest.raises(DTypeError, match="real: takes c64"):
        arrays.real(device.buffer(f32, 3))  # type: ignore[arg-type]
