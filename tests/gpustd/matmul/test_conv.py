"""fused_conv2d against NumPy float64, on every variant and engine."""

from __future__ import annotations

import dataclasses
from contextlib import nullcontext
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gpucore import Device, DType, ShapeError, f16, f32
from gpustd import fused_conv2d
from gpustd.launch.variants import force_variant
from tests.conftest import skip_without_f16
from tests.draws import draws
from tests.gpustd.matmul.convolutions import EPS, cases, check, draw, keywords, sources
from tests.gpustd.matmul.small_tiles import (
    SMALL_LOADERS,
    SMALL_MATRIX,
    SMALL_TEAMS,
    SMALL_TILED,
    on_variant,
)
from tests.gpustd.reference import conv as oracle
from tests.gpustd.reference.conv import CASES, Case

# Cases are sizes, dtypes, tiles and variants.
pytestmark = pytest.mark.sampled

Array = NDArray[Any]


def run(device: Device, case: Case, operands: dict[str, Array]) -> Array:
    """Return the result of fused_conv2d in memory that held NaN."""
    x, up = operands["x"], device.buffer_from_array
    first, w = up(sources(case, operands)[0]), up(operands["w"])
    more = keywords(device, case, operands)
    size = oracle.convolve(case, x[:1] * 0, operands["w"]).size * max(case.images, 1)
    up(np.full(size, np.nan, x.dtype)).release()
    return fused_conv2d(first, w, stride=case.stride, padding=case.padding, **more).read()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("dtype", [f32, f16], ids=lambda d: d.name)
def test_matches_float64(device: Device, case: Case, dtype: type[DType]) -> None:
    skip_without_f16(device, dtype.name)
    operands = draw(case, dtype, seed=1)
    check(case, operands, run(device, case, operands), EPS[dtype])


@settings(max_examples=draws(6), deadline=None)
@given(cases(), st.sampled_from([f32, f16]), st.integers(0, 99))
def test_drawn_cases(device: Device, case: Case, dtype: type[DType], seed: int) -> None:
    dtype = dtype if device.has_f16 else f32
    operands = draw(case, dtype, seed)
    check(case, operands, run(device, case, operands), EPS[dtype])


@pytest.mark.parametrize("variant", ["naive", "tiled"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_other_variants(
    device: Device, case: Case, variant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    operands = draw(case, f32, seed=2)
    with on_variant(device, variant, monkeypatch):
        check(case, operands, run(device, case, operands), EPS[f32])


TILED_CASES = (
    Case(2, 5, 4, 20, 12, second=40, residual=True, activation="silu"),
    Case(1, 7, 6, 16, 8, stride=2, padding=(0, 1, 0, 1), per_image=True),
    Case(1, 4, 3, 6, 5, upsample=(7, 6), second=3),
    Case(1, 5, 4, 8, 12, wrap="xy"),
)


@pytest.mark.parametrize("form", SMALL_TILED)
@pytest.mark.parametrize("case", TILED_CASES, ids=lambda case: case.name)
def test_tiled_variant(
    device: Device, case: Case, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    skip_without_f16(device, "f16")
    operands = draw(case, f16, seed=7)
    with on_variant(device, form, monkeypatch):
        check(case, operands, run(device, case, operands), EPS[f16])


NARROW_CASES = (
    Case(2, 5, 7, 8, 4, per_image=True),
    Case(2, 3, 4, 8, 4, kernel=1, padding=(0, 2, 0, 1)),
    Case(1, 6, 5, 16, 3, second=40, residual=True, activation="silu"),
    Case(1, 6, 5, 5, 2, second=2),
    Case(1, 8, 6, 64, 3, stride=2, padding=(0, 1, 0, 1)),
    Case(1, 4, 3, 16, 6, upsample=(7, 6)),
    Case(2, 3, 3, 24, 9, kernel=1, padding=(0, 0, 0, 0)),
    Case(1, 5, 4, 240, 1),
    Case(1, 5, 4, 8, 3, wrap="x"),
)


@pytest.mark.parametrize("case", NARROW_CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("dtype", [f32, f16], ids=lambda d: d.name)
def test_narrow_variant(device: Device, case: Case, dtype: type[DType]) -> None:
    skip_without_f16(device, dtype.name)
    operands = draw(case, dtype, seed=8)
    with force_variant("matmul", "narrow"):
        check(case, operands, run(device, case, operands), EPS[dtype])


MATRIX_CASES = (
    Case(1, 6, 5, 8, 24, per_image=True),
    Case(2, 5, 4, 40, 64, residual=True),
    Case(1, 5, 4, 8, 16, second=40, activation="silu"),
    Case(1, 7, 6, 16, 32, stride=2, padding=(0, 1, 0, 1)),
    Case(1, 4, 3, 8, 16, upsample=(7, 6)),
    Case(1, 5, 4, 8, 16, wrap="y"),
    Case(2, 5, 4, 32, 16, kernel=1, padding=(0, 0, 0, 0), second=8),
    Case(1, 5, 4, 32, 16, kernel=1, padding=(0, 1, 0, 2)),
    Case(2, 5, 7, 4, 24, per_image=True, activation="silu"),
    Case(1, 5, 4, 3, 16, residual=True),
    Case(1, 4, 3, 10, 8, upsample=(7, 6)),
    Case(1, 8, 7, 4, 8, kernel=5, padding=(2, 2, 2, 2), stride=2),
    Case(1, 5, 4, 20, 16, wrap="xy"),
)


LOADED_CASES = (
    Case(2, 5, 4, 192, 24, kernel=1, padding=(0, 0, 0, 0), per_image=True, residual=True),
    Case(2, 4, 8, 256, 64, kernel=1, padding=(0, 0, 0, 0)),
)
MATRIX_FORMS = (
    *product(MATRIX_CASES, SMALL_MATRIX),
    *product(MATRIX_CASES[2:3], SMALL_TEAMS),
    *product(LOADED_CASES, SMALL_LOADERS),
)


@pytest.mark.parametrize(("case", "form"), MATRIX_FORMS, ids=lambda of: getattr(of, "name", of))
def test_matrix_variant(
    device: Device, case: Case, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    operands = draw(case, f16, seed=3)
    with on_variant(device, form, monkeypatch):
        check(case, operands, run(device, case, operands), EPS[f16])


@pytest.mark.parametrize("variant", ["default", "tiled", "narrow"])
def test_result_does_not_depend_on_the_batch(
    device: Device, variant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Case(3, 7, 6, 16, 12, per_image=True, second=8)
    operands = draw(case, f32, seed=5)
    one = dataclasses.replace(case, images=1)
    with nullcontext() if variant == "default" else on_variant(device, variant, monkeypatch):
        together = run(device, case, operands)
        for image in range(3):
            cut = {name: operands[name][image : image + 1] for name in ("x", "per_image")}
            alone = run(device, one, {**operands, **cut})
            np.testing.assert_array_equal(together[image], alone[0])


@pytest.mark.parametrize(
    ("kernel", "outputs", "variant"), [(3, 16, "tiled"), (3, 15, "narrow"), (7, 16, "naive")]
)
def test_variant_follows_from_the_window_and_the_columns(
    kernel: int, outputs: int, variant: str
) -> None:
    """A mask of taps has 30 bits: a window of 7 x 7 has no place in it."""
    device = Device.null()
    x, w = device.buffer(f32, (1, 8, 8, 4)), device.buffer(f32, (kernel, kernel, 4, outputs))
    with device.profile() as profile:
        fused_conv2d(x, w, padding=kernel // 2)
    assert [record.label.split()[0] for record in profile.records] == [f"gemm/{variant}"]


@pytest.mark.parametrize(
    ("channels", "second", "kernel", "variant"),
    [(4, 0, 3, "matrix"), (3, 0, 3, "matrix"), (4, 4, 3, "tiled"), (4, 0, 1, "tiled")],
)
def test_matrix_units_take_any_channels_of_one_source_under_a_window(
    channels: int, second: int, kernel: int, variant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Device, "has_matrix_units", True)
    device = Device.null()
    x, w = (1, 8, 8, channels), (kernel, kernel, channels + second, 16)
    other = device.buffer(f16, (*x[:3], second)) if second else None
    with device.profile() as profile:
        fused_conv2d(
            device.buffer(f16, x), device.buffer(f16, w), second=other, padding=kernel // 2
        )
    assert [record.label.split()[0] for record in profile.records] == [f"gemm/{variant}"]


def test_refuses_wrong_arguments(device: Device) -> None:
    x, w = device.buffer(f32, (1, 4, 4, 8)), device.buffer(f32, (3, 3, 8, 4))
    with pytest.raises(ShapeError, match="channels must add up"):
        fused_conv2d(x, device.buffer(f32, (3, 3, 4, 4)))
    with pytest.raises(ShapeError, match="second must have"):
        fused_conv2d(x, w, second=device.buffer(f32, (1, 4, 5, 8)))
    with pytest.raises(ShapeError, match="leave room for the kernel"):
        fused_conv2d(device.buffer(f32, (1, 2, 2, 8)), w)
    with pytest.raises(ShapeError, match="upsample must be twice"):
        fused_conv2d(x, w, upsample=(12, 12))
    with pytest.raises(ShapeError, match="per_image must be"):
        fused_conv2d(x, w, padding=1, per_image=device.buffer(f32, (2, 4)))
