"""upsampling_conv2d against NumPy float64, on every variant and engine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gpucore import Device, DType, ShapeError, f16, f32
from gpustd import upsampling_conv2d, upsampling_weights
from tests.conftest import skip_without_f16
from tests.draws import draws
from tests.gpustd.matmul import convolutions
from tests.gpustd.matmul.convolutions import EPS, MOST_POISONED, cases, draw
from tests.gpustd.matmul.small_tiles import SMALL_MATRIX, SMALL_TILED, on_variant
from tests.gpustd.reference.conv import Case
from tests.gpustd.reference.upsampling_conv import CASES, bound

# Cases are sizes, dtypes, tiles and variants.
pytestmark = pytest.mark.sampled

Array = NDArray[Any]


def run(device: Device, case: Case, operands: dict[str, Array]) -> Array:
    """Return the result of upsampling_conv2d in memory that held NaN."""
    x, up = operands["x"], device.buffer_from_array
    first, u = up(x), upsampling_weights(up(operands["w"]))
    bias = up(operands["bias"])
    residual = up(operands["residual"]) if case.residual else None
    more = {"activation": case.activation, "wrap": case.wrap}
    up(np.full(min(8 * x.size * case.outputs + 4096, MOST_POISONED), np.nan, x.dtype)).release()
    return upsampling_conv2d(first, u, bias=bias, residual=residual, **more).read()


def check(case: Case, operands: dict[str, Array], result: Array, eps: float) -> None:
    convolutions.check(case, operands, result, eps, bound)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("dtype", [f32, f16], ids=lambda d: d.name)
def test_matches_float64(device: Device, case: Case, dtype: type[DType]) -> None:
    skip_without_f16(device, dtype.name)
    operands = draw(case, dtype, seed=case.channels)
    check(case, operands, run(device, case, operands), EPS[dtype])


@settings(max_examples=draws(3), deadline=None)
@given(cases(), st.sampled_from([f32, f16]))
def test_drawn_cases(device: Device, case: Case, dtype: type[DType]) -> None:
    dtype = dtype if device.has_f16 else f32
    case = replace(case, kernel=3, stride=1, padding=(1, 1, 1, 1), second=0, per_image=False)
    case = replace(case, upsample=(2 * case.height, 2 * case.width))
    operands = draw(case, dtype, seed=case.channels)
    check(case, operands, run(device, case, operands), EPS[dtype])


@pytest.mark.parametrize("variant", ["naive", "cpu", *SMALL_TILED, *SMALL_MATRIX])
@pytest.mark.parametrize("case", [CASES[2], CASES[4]], ids=lambda c: c.name)
def test_variants(
    device: Device, case: Case, variant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dtype = f16 if "matrix" in variant else f32
    operands = draw(case, dtype, seed=5)
    with on_variant(device, variant, monkeypatch):
        result = run(device, case, operands)
    check(case, operands, result, EPS[dtype])


def test_an_image_does_not_depend_on_the_batch(device: Device) -> None:
    case = Case(3, 6, 5, 16, 16, upsample=(12, 10))
    operands = draw(case, f32, seed=3)
    together = run(device, case, operands)
    alone = run(device, case, {**operands, "x": operands["x"][1:2]})
    np.testing.assert_array_equal(together[1:2], alone)


def test_refuses_wrong_arguments(device: Device) -> None:
    x, u = device.buffer(f32, (1, 4, 4, 8)), device.buffer(f32, (2, 2, 2, 2, 8, 8))
    with pytest.raises(ShapeError, match="weights must be those of upsampling_weights"):
        upsampling_conv2d(x, device.buffer(f32, (3, 3, 8, 8)))
    with pytest.raises(ShapeError, match="upsampling_conv2d: channels must"):
        upsampling_conv2d(x, device.buffer(f32, (2, 2, 2, 2, 4, 8)))
    with pytest.raises(ShapeError, match="upsampling_weights"):
        upsampling_weights(device.buffer(f32, (2, 2, 8, 8)))
    with pytest.raises(ShapeError, match="bias"):
        upsampling_conv2d(x, u, bias=device.buffer(f32, 7))
    with pytest.raises(ShapeError, match="residual"):
        upsampling_conv2d(x, u, residual=x)
