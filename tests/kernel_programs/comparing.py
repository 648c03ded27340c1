"""What a program computed beside what NumPy computes in float64."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from gpucore import Buffer, Device

RNG_SEED = 2026


class Comparison(NamedTuple):
    """``differing`` is the share of elements that may differ: where rounding decides a branch."""

    made: Any
    expected: Any
    rtol: float = 1e-5
    atol: float = 1e-5
    differing: float = 0.0

    def check(self) -> None:
        made, expected = np.asarray(self.made), np.asarray(self.expected)
        assert made.shape == expected.shape
        if self.differing:
            assert np.std(expected.astype(float)) > 0, "a constant shows nothing"
            near = np.isclose(made, expected, self.rtol, self.atol)
            assert 1 - near.mean() <= self.differing
        else:
            np.testing.assert_allclose(made, expected, self.rtol, self.atol)


def poisoned(device: Device, shape: int | tuple[int, ...], dtype: DTypeLike = np.float32) -> Any:
    """Return a buffer of NaN, or of a number that no program makes."""
    bad = np.nan if np.dtype(dtype).kind == "f" else 77_777_777
    return device.buffer_from_array(np.full(shape, bad, dtype))


def given(device: Device, array: Any, dtype: DTypeLike = np.float32) -> Buffer[Any]:
    return device.buffer_from_array(np.asarray(array, dtype))


def random() -> np.random.Generator:
    return np.random.default_rng(RNG_SEED)
