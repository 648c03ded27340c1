"""winograd_conv2d against NumPy float64, on every rung and engine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import gpustd.winograd
from gpucore import Device, DType, DTypeError, ShapeError, f16, f32
from gpustd import conv2d, winograd_conv2d, winograd_weights
from gpustd.reference.conv import Case
from gpustd.reference.winograd import CASES, bound
from tests.gpustd import test_conv as direct
from tests.gpustd.products import SMALL_MATRIX, SMALL_TILED, on_rung
from tests.gpustd.test_conv import EPS, draw, fused, sources

Array = NDArray[Any]


def run(device: Device, case: Case, operands: dict[str, Array]) -> Array:
    """Result of winograd_conv2d into memory that held NaN."""
    x, up = operands["x"], device.buffer_from_array
    first, u = up(sources(case, operands)[0]), winograd_weights(up(operands["w"]))
    more = fused(device, case, operands)
    up(np.full(4 * x.size * case.outputs + 4096, np.nan, x.dtype)).release()
    return winograd_conv2d(first, u, **more).read()


def check(case: Case, operands: dict[str, Array], result: Array, eps: float) -> None:
    direct.check(case, operands, result, eps, bound)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("dtype", [f32, f16], ids=lambda d: d.name)
def test_matches_float64(device: Device, case: Case, dtype: type[DType]) -> None:
    if dtype is f16 and not device.has_f16:
        pytest.skip(f"{device!r} has no f16")
    operands = draw(case, dtype, seed=case.channels)
    check(case, operands, run(device, case, operands), EPS[dtype])


@pytest.mark.parametrize("rung", ["naive", "cpu", *SMALL_TILED, *SMALL_MATRIX])
@pytest.mark.parametrize("case", [CASES[4], CASES[7]], ids=lambda c: c.name)
def test_rungs(device: Device, case: Case, rung: str, monkeypatch: pytest.MonkeyPatch) -> None:
    dtype = f16 if "matrix" in rung else f32
    operands = draw(case, dtype, seed=5)
    with on_rung(device, rung, monkeypatch):
        result = run(device, case, operands)
    check(case, operands, result, EPS[dtype])


def test_large_images_are_done_in_parts(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case(2, 19, 33, 8, 8, per_image=True, residual=True)
    operands = draw(case, f32, seed=2)
    whole = run(device, case, operands)
    monkeypatch.setattr(gpustd.winograd, "_MOST_BYTES", 1)
    parts = run(device, case, operands)
    np.testing.assert_array_equal(parts, whole)
    check(case, operands, parts, EPS[f32])


def test_an_image_does_not_depend_on_the_batch(device: Device) -> None:
    case = Case(3, 6, 5, 16, 16)
    operands = draw(case, f32, seed=3)
    together = run(device, case, operands)
    alone = run(device, Case(1, 6, 5, 16, 16), {**operands, "x": operands["x"][1:2]})
    np.testing.assert_array_equal(together[1:2], alone)


def test_transformed_weights(device: Device) -> None:
    w = np.random.default_rng(1).standard_normal((3, 3, 5, 4)).astype(np.float32)
    g = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
    expected = np.einsum("ai,bj,ijcn->abcn", g, g, w.astype(np.float64)).reshape(16, 5, 4)
    result = winograd_weights(device.buffer_from_array(w)).read()
    np.testing.assert_allclose(result, expected, rtol=0, atol=8 * EPS[f32])


def test_mistakes_are_told(device: Device) -> None:
    x = device.buffer(f32, (1, 4, 4, 8))
    u = device.buffer(f32, (16, 8, 8))
    with pytest.raises(ShapeError, match=r"winograd_conv2d: weights \(9, 8, 8\)"):
        winograd_conv2d(x, device.buffer(f32, (9, 8, 8)))
    with pytest.raises(ShapeError, match="winograd_conv2d: channels"):
        winograd_conv2d(x, device.buffer(f32, (16, 4, 8)))
    with pytest.raises(ShapeError, match="bias"):
        winograd_conv2d(x, u, bias=device.buffer(f32, 7))
    with pytest.raises(ShapeError, match="winograd_weights"):
        winograd_weights(device.buffer(f32, (1, 1, 8, 8)))
    with pytest.raises(DTypeError):
        winograd_conv2d(x, device.buffer(f16, (16, 8, 8)))
    with pytest.raises(ShapeError, match="residual"):
        winograd_conv2d(x, u, residual=device.buffer(f32, (1, 4, 4, 4)))


def test_agrees_with_conv2d(device: Device) -> None:
    case = Case(1, 16, 16, 32, 32, residual=True)
    operands = draw(case, f32, seed=9)
    up = device.buffer_from_array
    w, x = up(operands["w"]), up(operands["x"])
    direct = conv2d(x, w, bias=up(operands["bias"]), padding=1, residual=up(operands["residual"]))
    np.testing.assert_allclose(run(device, case, operands), direct.read(), rtol=1e-4, atol=1e-4)
