"""normalised_gemm against NumPy float64: on every rung and engine, and on emulated matrix units."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gpucore import Device, DType, DTypeError, ShapeError, f16, f32
from gpustd import normalised_gemm
from gpustd.reference import gemm as oracle
from gpustd.reference.gemm import Case
from gpustd.rungs import forced_rung
from gpustd.tiles import Tile
from tests.gpustd.poison import poison_pool
from tests.gpustd.products import on_rung

Array = NDArray[Any]

EPS: dict[type[DType], float] = {f32: float(np.finfo(np.float32).eps), f16: 2.0**-10}
LAYER_EPS = 1e-5


@dataclass(frozen=True)
class Operands:
    """Of one case, rounded to the storage type. Row 1 is constant, and row 2 of zeros."""

    case: Case
    x: Array
    w: Array
    bias: Array | None
    residual: Array | None

    @classmethod
    def drawn(cls, case: Case, dtype: type[DType], offset: float = 0.5) -> Operands:
        """Rows whose means lie about ``offset`` of their deviations from zero."""
        rng = np.random.default_rng(1)
        columns = 2 * case.n if case.activation == "geglu" else case.n
        gamma = 1 + rng.standard_normal((case.k, 1)) / 4
        x = rng.standard_normal((*case.rows, case.k)) * 1.5
        x += 1.5 * offset * (1 + rng.standard_normal((*case.rows, 1)) / 8)
        flat = x.reshape(math.prod(case.rows), case.k)
        flat[1:2], flat[2:3] = 3.3, 0.0
        return cls(
            case,
            x.astype(dtype.numpy),
            (gamma * rng.standard_normal((case.k, columns))).astype(dtype.numpy),
            rng.standard_normal(columns).astype(np.float32) if case.bias else None,
            rng.standard_normal((*case.rows, case.n)).astype(dtype.numpy)
            if case.residual
            else None,
        )

    def run(self, device: Device, rows: slice = slice(None)) -> Array:
        """Result of normalised_gemm of some images into memory that held NaN."""
        x = self.x[rows]
        residual = None if self.residual is None else self.residual[rows]
        sums = self.w.sum(axis=0, dtype=np.float64).astype(np.float32)
        first, w, added = (device.buffer_from_array(a) for a in (x, self.w, sums))
        bias, last = (
            None if a is None else device.buffer_from_array(a) for a in (self.bias, residual)
        )
        poison_pool(device, x.itemsize * x.size // max(self.case.k, 1) * self.case.n)
        return normalised_gemm(
            first,
            w,
            added,
            eps=LAYER_EPS,
            bias=bias,
            activation=self.case.activation,
            residual=last,
        ).read()

    def check(self, result: Array, eps: float, eps_row: float) -> None:
        x, w, bias, residual = (
            None if a is None else np.asarray(a, np.float64)
            for a in (self.x, self.w, self.bias, self.residual)
        )
        assert x is not None
        assert w is not None
        activation = self.case.activation
        rows = oracle.normalised(x, LAYER_EPS)
        expected = oracle.reference(rows, w, bias, activation, residual)
        error = np.abs(result.astype(np.float64) - expected)
        assert result.shape == expected.shape
        unit, size = EPS[f32], np.abs(expected)
        allowed = oracle.normalised_bound(x, w, bias, activation, LAYER_EPS, eps_row)
        allowed = allowed + 16 * unit * (1 + size) + eps * (size + 1e-3)
        assert np.all(error <= allowed), f"worst {np.max(error / allowed):.2f} of what is allowed"


CASES = (
    Case((3,), 5, 7, bias=True),
    Case((2, 19), 72, 24, bias=True, residual=True),
    Case((35,), 64, 40, bias=True, activation="geglu", residual=True),
    Case((9,), 320, 64, bias=True, activation="silu"),
    Case((0,), 8, 8),
    Case((4,), 0, 8, bias=True),
    Case((4,), 8, 0),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("dtype", [f32, f16], ids=lambda d: d.name)
def test_matches_float64(device: Device, case: Case, dtype: type[DType]) -> None:
    if dtype is f16 and not device.has_f16:
        pytest.skip(f"{device!r} has no f16")
    operands = Operands.drawn(case, dtype)
    eps_row = 0.0 if dtype is f32 else EPS[f16]
    operands.check(operands.run(device), EPS[dtype], eps_row)


@pytest.mark.parametrize("rung", ["naive", "tiled"])
def test_other_rungs(device: Device, rung: str, monkeypatch: pytest.MonkeyPatch) -> None:
    operands = Operands.drawn(CASES[1], f32)
    with on_rung(device, rung, monkeypatch):
        operands.check(operands.run(device), EPS[f32], 0.0)


def test_a_large_mean_does_not_cancel_where_the_norm_is_apart(device: Device) -> None:
    operands = Operands.drawn(CASES[1], f32, offset=1000.0)
    operands.check(operands.run(device), EPS[f32], 0.0)


# The first asks for a split of K, which is passed over, and has more invocations than words.
SMALLEST = Tile(16, 64, 32, 16, 16, splits=2)
# Slices twice as wide; many rows of a subgroup and of an invocation.
OTHER_TILES = (Tile(16, 32, 64, 16, 16), Tile(64, 16, 32, 64, 16))
MATRIX_CASES = (
    Case((33,), 40, 72, bias=True, activation="silu"),
    Case((2, 19), 96, 24, bias=True, residual=True),
    Case((35,), 136, 40, bias=True, activation="geglu", residual=True),
)


def need_matrix(device: Device) -> None:
    if device.info.api == "gl":
        pytest.skip("matrix units are Dawn's; their emulation runs on Vulkan")


def on_tile(
    device: Device, tile: Tile, patch: pytest.MonkeyPatch, operands: Operands, rows: slice
) -> Array:
    with on_rung(device, "matrix", patch), forced_rung("product", "matrix", tile):
        return operands.run(device, rows)


@pytest.mark.parametrize("case", MATRIX_CASES, ids=lambda case: case.name)
def test_matrix_rung(device: Device, case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """No normalised row is rounded; means of 30 deviations do not matter."""
    need_matrix(device)
    for offset in (0.5, 30.0):
        operands = Operands.drawn(case, f16, offset)
        result = on_tile(device, SMALLEST, monkeypatch, operands, slice(None))
        operands.check(result, 2.0**-11, 0.0)


def test_result_does_not_depend_on_the_tile(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not to the last bit, which means of 300 deviations bring to light."""
    need_matrix(device)
    for offset in (0.5, 300.0):
        operands = Operands.drawn(Case((33,), 328, 24), f16, offset)
        first, *others = (
            on_tile(device, tile, monkeypatch, operands, slice(None))
            for tile in (SMALLEST, *OTHER_TILES)
        )
        for result in others:
            np.testing.assert_array_equal(result, first)


def test_result_does_not_depend_on_the_batch(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    need_matrix(device)
    operands = Operands.drawn(MATRIX_CASES[1], f16)
    together = on_tile(device, SMALLEST, monkeypatch, operands, slice(None))
    for image in range(2):
        part = slice(image, image + 1)
        alone = on_tile(device, SMALLEST, monkeypatch, operands, part)
        np.testing.assert_array_equal(together[image], alone[0])


def test_result_does_not_depend_on_the_batch_where_the_norm_is_apart(device: Device) -> None:
    operands = Operands.drawn(MATRIX_CASES[1], f32)
    together = operands.run(device)
    for image in range(2):
        alone = operands.run(device, slice(image, image + 1))
        np.testing.assert_array_equal(together[image], alone[0])


def test_refuses_what_does_not_fit(device: Device) -> None:
    x, w = device.buffer(f32, (4, 6)), device.buffer(f32, (6, 8))
    sums = device.buffer(f32, 8)
    with pytest.raises(ShapeError, match=r"normalised_gemm: \(4, 6\) @ \(8,\)"):
        normalised_gemm(x, sums, sums, eps=1e-5)
    with pytest.raises(ShapeError, match=r"sums \(6,\) for 8 columns"):
        normalised_gemm(x, w, device.buffer(f32, 6), eps=1e-5)
    with pytest.raises(DTypeError, match="sums must be f32"):
        normalised_gemm(x, w, device.buffer(f16, 8), eps=1e-5)  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="residual"):
        normalised_gemm(x, w, sums, eps=1e-5, residual=device.buffer(f32, (4, 7)))
    with pytest.raises(ShapeError, match="'swish'"):
        normalised_gemm(x, w, sums, eps=1e-5, activation="swish")
    with pytest.raises(DTypeError, match="one float dtype"):
        normalised_gemm(x, w, sums, eps=1e-5, residual=device.buffer(f16, (4, 8)))  # type: ignore[arg-type]
