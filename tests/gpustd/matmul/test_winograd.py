"""winograd_conv2d against NumPy float64, on every variant and engine."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gpucore import Device, DType, DTypeError, ShapeError, f16, f32
from gpustd import fused_conv2d, winograd_conv2d, winograd_weights
from gpustd.matmul import winograd_blocks
from tests.conftest import skip_without_f16
from tests.draws import draws
from tests.gpustd.matmul import convolutions
from tests.gpustd.matmul.convolutions import EPS, MOST_POISONED, cases, draw, keywords, sources
from tests.gpustd.matmul.small_tiles import SMALL_MATRIX, SMALL_TILED, on_variant
from tests.gpustd.reference import conv as oracle
from tests.gpustd.reference.conv import Case
from tests.gpustd.reference.winograd import CASES, bound, transforms

# Cases are sizes, dtypes, tiles and variants.
pytestmark = pytest.mark.sampled

Array = NDArray[Any]


def run(device: Device, case: Case, operands: dict[str, Array], block: int = 2) -> Array:
    """Return the result of winograd_conv2d in memory that held NaN."""
    x, up = operands["x"], device.buffer_from_array
    first, u = up(sources(case, operands)[0]), winograd_weights(up(operands["w"]), block)
    more = keywords(device, case, operands)
    up(np.full(min(4 * x.size * case.outputs + 4096, MOST_POISONED), np.nan, x.dtype)).release()
    return winograd_conv2d(first, u, **more).read()


def check(
    case: Case, operands: dict[str, Array], result: Array, eps: float, block: int = 2
) -> None:
    convolutions.check(case, operands, result, eps, partial(bound, block=block))


@pytest.mark.parametrize("dtype", [f32, f16], ids=lambda d: d.name)
@pytest.mark.parametrize(
    ("case", "block"),
    [*((case, 2) for case in CASES), *((CASES[number], 4) for number in (1, 5, 9, 11))],
    ids=lambda value: value if isinstance(value, int) else value.name,
)
def test_matches_float64(device: Device, case: Case, dtype: type[DType], block: int) -> None:
    skip_without_f16(device, dtype.name)
    operands = draw(case, dtype, seed=case.channels)
    check(case, operands, run(device, case, operands, block), EPS[dtype], block)


@settings(max_examples=draws(3), deadline=None)
@given(cases(), st.sampled_from([2, 4]), st.sampled_from([f32, f16]))
def test_drawn_cases(device: Device, case: Case, block: int, dtype: type[DType]) -> None:
    dtype = dtype if device.has_f16 else f32
    case = replace(case, kernel=3, stride=1, padding=(1, 1, 1, 1))
    operands = draw(case, dtype, seed=case.channels)
    check(case, operands, run(device, case, operands, block), EPS[dtype], block)


@pytest.mark.parametrize("variant", ["naive", "cpu", *SMALL_TILED, *SMALL_MATRIX])
@pytest.mark.parametrize(("number", "block"), [(4, 2), (7, 2), (4, 4), (12, 2)])
def test_variants(
    device: Device, number: int, block: int, variant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dtype = f16 if "matrix" in variant else f32
    operands = draw(CASES[number], dtype, seed=5)
    with on_variant(device, variant, monkeypatch):
        result = run(device, CASES[number], operands, block)
    check(CASES[number], operands, result, EPS[dtype], block)


@pytest.mark.parametrize(
    ("case", "block"),
    [
        (Case(2, 19, 33, 8, 8, per_image=True, residual=True), 2),
        (Case(2, 37, 65, 8, 8, per_image=True, residual=True), 4),
        (Case(2, 10, 16, 8, 8, upsample=(20, 32), residual=True), 2),
    ],
    ids=lambda value: value if isinstance(value, int) else value.name,
)
def test_large_images_are_done_in_parts(
    device: Device, case: Case, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    operands = draw(case, f32, seed=2)
    whole = run(device, case, operands, block)
    monkeypatch.setattr(winograd_blocks, "_MOST_BYTES", 1)
    parts = run(device, case, operands, block)
    np.testing.assert_array_equal(parts, whole)
    check(case, operands, parts, EPS[f32], block)


@pytest.mark.parametrize("dtype", [f32, f16], ids=lambda d: d.name)
@pytest.mark.parametrize("block", [2, 4])
def test_an_image_does_not_depend_on_the_batch(
    device: Device, block: int, dtype: type[DType]
) -> None:
    skip_without_f16(device, dtype.name)
    case = Case(3, 6, 5, 16, 16)
    operands = draw(case, dtype, seed=3)
    together = run(device, case, operands, block)
    alone = run(device, Case(1, 6, 5, 16, 16), {**operands, "x": operands["x"][1:2]}, block)
    np.testing.assert_array_equal(together[1:2], alone)


@pytest.mark.parametrize("block", [2, 4])
def test_sums_are_at_most_as_large_as_results_can_be(device: Device, block: int) -> None:
    """One block's pixels have the signs of the largest transform; the others make full results."""
    skip_without_f16(device, "f16")
    case, (_, b, _) = Case(1, 12, 12, 8, 8), transforms(block)
    worst = b[np.argmax(np.abs(b).sum(axis=1))]
    x, seen = np.ones((1, 12, 12, 8)), slice(block - 1, 2 * block + 1)
    x[0, seen, seen] = np.where(np.outer(worst, worst) < 0, -1, 1)[..., None]
    w = np.full((3, 3, 8, 8), 60_000 / 72)
    up, expected = device.buffer_from_array, oracle.convolve(case, x, w)
    result = winograd_conv2d(up(x, f16), winograd_weights(up(w, f16), block)).read()
    assert np.abs(expected).max() > 59_000
    np.testing.assert_allclose(result, expected, rtol=0, atol=1500)


@pytest.mark.parametrize(("block", "most"), [(2, 16_000), (4, 32_000)])
def test_large_pixels_and_weights_do_not_overflow(device: Device, block: int, most: int) -> None:
    """Random ones, which make large results."""
    skip_without_f16(device, "f16")
    case = Case(1, 16, 12, 32, 8)
    for large in ("pixels", "weights"):
        operands = draw(case, f16, seed=6)
        x, w = operands["x"].astype(np.float64), operands["w"].astype(np.float64)
        x *= (most if large == "pixels" else 1) / np.abs(x).max()
        w *= 30_000 / np.abs(oracle.convolve(case, x, w)).max()
        operands |= {"x": x.astype(np.float16), "w": w.astype(np.float16)}
        check(case, operands, run(device, case, operands, block), EPS[f16], block)


def test_transformed_weights(device: Device) -> None:
    w = np.random.default_rng(1).standard_normal((3, 3, 5, 4)).astype(np.float32)
    _, _, g = transforms(4)
    expected = 2 * np.einsum("ai,bj,ijcn->abcn", g, g, w.astype(np.float64)).reshape(36, 5, 4)
    result = winograd_weights(device.buffer_from_array(w), 4).read()
    np.testing.assert_allclose(result, expected, rtol=0, atol=16 * EPS[f32])


def test_enlarging_takes_nine_products_of_a_block(device: Device) -> None:
    x, w = np.ones((1, 4, 4, 8), np.float32), np.ones((3, 3, 8, 8), np.float32)
    u = winograd_weights(device.buffer_from_array(w)).read()
    u[9:] = np.nan
    up = device.buffer_from_array
    result = winograd_conv2d(up(x), up(u), upsample=(8, 8)).read()
    assert np.isfinite(result).all()
    assert np.isnan(winograd_conv2d(up(x), up(u), upsample=(7, 8)).read()).any()


def test_refuses_wrong_arguments(device: Device) -> None:
    x = device.buffer(f32, (1, 4, 4, 8))
    u = device.buffer(f32, (16, 8, 8))
    with pytest.raises(
        ShapeError,
        match=r"weights must be \(16 or 36, C, Cout\) of winograd_weights, got \(9, 8, 8\)",
    ):
        winograd_conv2d(x, device.buffer(f32, (9, 8, 8)))
    with pytest.raises(ShapeError, match="winograd_conv2d: channels must"):
        winograd_conv2d(x, device.buffer(f32, (16, 4, 8)))
    with pytest.raises(ShapeError, match="bias"):
        winograd_conv2d(x, u, bias=device.buffer(f32, 7))
    with pytest.raises(ShapeError, match="winograd_weights"):
        winograd_weights(device.buffer(f32, (1, 1, 8, 8)))
    with pytest.raises(ShapeError, match="block must be 2 or 4, got 3"):
        winograd_weights(device.buffer(f32, (3, 3, 8, 8)), 3)
    with pytest.raises(DTypeError):
        winograd_conv2d(x, device.buffer(f16, (16, 8, 8)))
    with pytest.raises(ShapeError, match="residual"):
        winograd_conv2d(x, u, residual=device.buffer(f32, (1, 4, 4, 4)))


def test_agrees_with_conv2d(device: Device) -> None:
    case = Case(1, 16, 16, 32, 32, residual=True)
    operands = draw(case, f32, seed=9)
    up = device.buffer_from_array
    w, x = up(operands["w"]), up(operands["x"])
    direct = fused_conv2d(
        x, w, bias=up(operands["bias"]), padding=1, residual=up(operands["residual"])
    )
    np.testing.assert_allclose(run(device, case, operands), direct.read(), rtol=1e-4, atol=1e-4)
