"""gemm against NumPy float64, on every variant and engine."""

from __future__ import annotations

import itertools
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gpucore import Device, DType, DTypeError, Kernel, ShapeError, f16, f32
from gpustd import gemm, wide_gemm
from gpustd.launch import template
from gpustd.launch.variants import force_variant
from gpustd.matmul import launching
from gpustd.matmul.dense import multiply_batch
from gpustd.matmul.tiles import Tile
from tests.conftest import skip_without_f16
from tests.draws import draws
from tests.gpustd.matmul.small_tiles import (
    SMALL_LOADERS,
    SMALL_MATRIX,
    SMALL_TEAMS,
    SMALL_TILED,
    on_variant,
)
from tests.gpustd.null_validator import assert_accepted
from tests.gpustd.reference import gemm as oracle
from tests.gpustd.reference.gemm import CASES, Case

# Cases are sizes, dtypes, tiles and variants.
pytestmark = pytest.mark.sampled

Array = NDArray[Any]

EPS: dict[type[DType], float] = {f32: float(np.finfo(np.float32).eps), f16: 2.0**-10}


def draw(case: Case, dtype: type[DType], seed: int) -> dict[str, Array | None]:
    """Return random operands, rounded to the storage type."""
    rng = np.random.default_rng(seed)
    columns = 2 * case.n if case.activation == "geglu" else case.n

    def normal(shape: tuple[int, ...], kind: Any) -> Array:
        return rng.standard_normal(shape).astype(kind)

    return {
        "a": normal((*case.rows, case.k), dtype.numpy),
        "w": normal((case.k, columns), dtype.numpy),
        "bias": normal((columns,), np.float32) if case.bias else None,
        "residual": normal((*case.rows, case.n), dtype.numpy) if case.residual else None,
    }


def run(device: Device, case: Case, operands: dict[str, Array | None]) -> Array:
    """Return the result of gemm in memory that held NaN."""
    buffers = {
        name: None if array is None else device.buffer_from_array(array)
        for name, array in operands.items()
    }
    a, w = buffers["a"], buffers["w"]
    assert a is not None
    assert w is not None
    poison = device.buffer_from_array(np.full((*case.rows, case.n), np.nan, a.dtype.numpy))
    poison.release()
    result = gemm(
        a, w, bias=buffers["bias"], activation=case.activation, residual=buffers["residual"]
    )
    return result.read()


def check(case: Case, operands: dict[str, Array | None], result: Array, eps: float) -> None:
    a, w, bias, residual = (
        None if operands[name] is None else np.asarray(operands[name], np.float64)
        for name in ("a", "w", "bias", "residual")
    )
    assert a is not None
    assert w is not None
    expected = oracle.reference(a, w, bias, case.activation, residual)
    error = np.abs(result.astype(np.float64) - expected)
    allowed = oracle.bound(a, w, expected, eps)
    assert result.shape == expected.shape
    assert np.all(error <= allowed), f"worst {np.max(error / allowed):.2f} of what is allowed"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("dtype", [f32, f16], ids=lambda d: d.name)
def test_matches_float64(device: Device, case: Case, dtype: type[DType]) -> None:
    skip_without_f16(device, dtype.name)
    operands = draw(case, dtype, seed=1)
    check(case, operands, run(device, case, operands), EPS[dtype])


ACTIVATIONS = (None, "silu", "gelu", "gelu_tanh", "quick_gelu", "relu", "geglu")
DRAWN = st.builds(
    Case,
    st.sampled_from([(0,), (1,), (7,), (2, 5), (3, 0), (2, 3, 4), (33,)]),
    st.sampled_from([0, 1, 5, 8, 31, 40]),
    st.sampled_from([0, 1, 3, 8, 13, 24, 68]),
    st.booleans(),
    st.sampled_from(ACTIVATIONS),
    st.booleans(),
)


@settings(max_examples=draws(5), deadline=None)
@given(DRAWN, st.sampled_from([f32, f16]), st.integers(0, 99))
def test_drawn_cases(device: Device, case: Case, dtype: type[DType], seed: int) -> None:
    """By the device's default variant, as few rows, and without rounding to f16."""
    dtype = dtype if device.has_f16 else f32
    operands = draw(case, dtype, seed)
    check(case, operands, run(device, case, operands), EPS[dtype])
    up = device.buffer_from_array
    a, w, bias, residual = (None if x is None else up(x) for x in operands.values())
    assert a is not None
    assert w is not None
    if case.activation != "geglu":
        more = {"bias": bias, "activation": case.activation, "residual": residual}
        check(case, operands, gemm(a, w, few_rows=True, **more).read(), EPS[dtype])
        plain = Case(case.rows, case.k, case.n)
        check(plain, {**operands, "bias": None, "residual": None}, wide_gemm(a, w).read(), EPS[f32])


@pytest.mark.parametrize("variant", ["naive", "tiled"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_other_variants(
    device: Device, case: Case, variant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    operands = draw(case, f32, seed=2)
    with on_variant(device, variant, monkeypatch):
        check(case, operands, run(device, case, operands), EPS[f32])


TILED_CASES = (
    Case((33,), 40, 72, bias=True, activation="silu"),
    Case((2, 19), 72, 24, bias=True, residual=True),
    Case((35,), 64, 40, activation="geglu", residual=True),
    Case((9,), 33, 10, bias=True),
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
    Case((1,), 1, 1),
    Case((17,), 31, 13, bias=True, residual=True),
    Case((2, 19), 72, 3, bias=True, activation="silu"),
    Case((35,), 64, 7, bias=True, activation="geglu", residual=True),
    Case((9,), 2056, 5),
    Case((4,), 0, 8, bias=True),
)


@pytest.mark.parametrize("case", NARROW_CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("dtype", [f32, f16], ids=lambda d: d.name)
def test_narrow_variant(device: Device, case: Case, dtype: type[DType]) -> None:
    skip_without_f16(device, dtype.name)
    operands = draw(case, dtype, seed=8)
    with force_variant("matmul", "narrow"):
        check(case, operands, run(device, case, operands), EPS[dtype])


FEW_CASES = (
    Case((1,), 8, 8),
    Case((19,), 40, 24, activation="gelu"),
    Case((2,), 72, 1032, bias=True, activation="silu"),
    Case((3,), 1032, 24, bias=True, residual=True),
    Case((5,), 128, 8200),
    Case((4,), 0, 8, bias=True),
)


@pytest.mark.parametrize("case", FEW_CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("dtype", [f32, f16], ids=lambda d: d.name)
def test_few_variant(device: Device, case: Case, dtype: type[DType]) -> None:
    skip_without_f16(device, dtype.name)
    operands = draw(case, dtype, seed=9)
    with force_variant("matmul", "few"):
        check(case, operands, run(device, case, operands), EPS[dtype])


@pytest.mark.parametrize("variant", ["default", "few"])
def test_few_rows_do_not_depend_on_their_number(device: Device, variant: str) -> None:
    operands = draw(Case((11,), 1288, 40), f32, seed=10)
    a, w = operands["a"], operands["w"]
    assert a is not None
    assert w is not None
    weights = device.buffer_from_array(w)
    with nullcontext() if variant == "default" else force_variant("matmul", variant):
        results = [
            gemm(device.buffer_from_array(a[:rows]), weights, few_rows=True).read()
            for rows in (11, 5, 1)
        ]
    for result in results:
        np.testing.assert_array_equal(results[0][: len(result)], result)


def test_few_rows_take_the_few_variant(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the caller says so and extents are whole words, for any number of rows."""
    null, names = Device.null(), []

    def note_kernel(device: Device, name: str, **spec: template.Value) -> Kernel:
        names.append(name)
        return template.kernel(device, name, **spec)

    monkeypatch.setattr(launching, "kernel", note_kernel)
    for rows, k, n in ((1, 24, 40), (100, 24, 40), (2, 20, 40), (2, 24, 36), (2, 24, 8)):
        gemm(null.buffer(f16, (rows, k)), null.buffer(f16, (k, n)), few_rows=True)
    assert names == [
        f"matmul/gemm/{variant}.wgsl" for variant in ("few", "few", "tiled", "tiled", "narrow")
    ]


MATRIX_CASES = (
    Case((40,), 32, 64),
    Case((33,), 40, 72, bias=True, activation="silu"),
    Case((2, 19), 72, 24, bias=True, residual=True),
    Case((35,), 64, 40, bias=True, activation="geglu", residual=True),
)


LOADED_CASES = (
    Case((64,), 192, 128),
    Case((33,), 256, 72, bias=True, activation="silu"),
    Case((2, 19), 192, 40, bias=True, activation="geglu", residual=True),
)
MATRIX_FORMS = (
    *itertools.product(MATRIX_CASES, SMALL_MATRIX),
    *itertools.product(MATRIX_CASES[2:3], SMALL_TEAMS),
    *itertools.product(LOADED_CASES, SMALL_LOADERS),
)


@pytest.mark.parametrize(("case", "form"), MATRIX_FORMS, ids=lambda of: getattr(of, "name", of))
def test_matrix_variant(
    device: Device, case: Case, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    operands = draw(case, f16, seed=3)
    with on_variant(device, form, monkeypatch):
        check(case, operands, run(device, case, operands), EPS[f16])


def test_more_groups_than_one_dimension_has(device: Device) -> None:
    """Over 65 535 workgroups of the naive variant."""
    case = Case((65536 * 64 // 4 + 5,), 1, 4)
    operands = draw(case, f32, seed=4)
    with force_variant("matmul", "naive"):
        check(case, operands, run(device, case, operands), EPS[f32])


@pytest.mark.parametrize("variant", ["default", "tiled", "tiled split", "narrow"])
def test_result_does_not_depend_on_the_batch(
    device: Device, variant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    n = 12 if variant == "narrow" else 40
    operands = draw(Case((3, 20), 96, n, bias=True), f32, seed=5)
    with nullcontext() if variant == "default" else on_variant(device, variant, monkeypatch):
        together = run(device, Case((3, 20), 96, n, True, "gelu"), operands)
        for image in range(3):
            a = operands["a"]
            assert a is not None
            alone = run(
                device, Case((1, 20), 96, n, True, "gelu"), {**operands, "a": a[image][None]}
            )
            np.testing.assert_array_equal(together[image], alone[0])


TILES = (
    (Tile(32, 64, 8, 4, 8), Tile(32, 64, 16, 4, 4), Tile(64, 64, 8, 8, 4, stages=2)),
    (Tile(32, 64, 8, 4, 8, splits=3), Tile(64, 64, 8, 8, 4, splits=3)),
)


@pytest.mark.parametrize("tiles", TILES, ids=["whole", "split"])
def test_result_does_not_depend_on_the_tile(device: Device, tiles: tuple[Tile, ...]) -> None:
    case = Case((50,), 200, 36)
    operands = draw(case, f32, seed=6)
    results = []
    for tile in tiles:
        with force_variant("matmul", "tiled", tile):
            results.append(run(device, case, operands))
    for result in results[1:]:
        np.testing.assert_array_equal(results[0], result)


MATRIX_TILES = (
    SMALL_MATRIX["matrix split"],
    SMALL_TEAMS["matrix teams"],
    Tile(16, 64, 16, 16, 32, splits=2, teams=2),
)
FUSED = (
    Case((2, 25), 128, 64, bias=True, activation="silu", residual=True),
    Case((2, 25), 128, 40, bias=True, activation="geglu"),
)


@pytest.mark.parametrize("case", FUSED, ids=lambda case: case.name)
def test_teams_and_workgroups_make_the_same_sums(
    device: Device, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parts of K are added in the same order, in one launch or two, for one image or two."""
    operands = draw(case, f16, seed=9)
    with on_variant(device, "matrix", monkeypatch):
        results = []
        for tile in MATRIX_TILES:
            with force_variant("matmul", "matrix", tile):
                results.append(run(device, case, operands))
        first = {
            name: array[:1] if array is not None and name in ("a", "residual") else array
            for name, array in operands.items()
        }
        with force_variant("matmul", "matrix", SMALL_TEAMS["matrix teams"]):
            alone = run(device, replace(case, rows=(1, *case.rows[1:])), first)
    check(case, operands, results[0], EPS[f16])
    for result in results[1:]:
        np.testing.assert_array_equal(results[0], result)
    np.testing.assert_array_equal(results[0][:1], alone)


@pytest.mark.parametrize("loaders", SMALL_LOADERS)
def test_loaders_make_the_same_sums(
    device: Device, loaders: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of one product, and of a batch whose rows and columns end within tiles."""
    rng = np.random.default_rng(10)
    with on_variant(device, loaders, monkeypatch):
        a, w = (rng.standard_normal(s).astype(np.float16) for s in ((3, 40, 192), (3, 192, 72)))
        results: list[list[Array]] = []
        for tile in (SMALL_MATRIX["matrix"], SMALL_LOADERS[loaders]):
            up = device.buffer_from_array
            many = up(np.full((3, 40, 72), np.nan, np.float16))
            with force_variant("matmul", "matrix", tile):
                multiply_batch("test", up(a), up(w), many)
                results.append([many.read(), gemm(up(a[0]), up(w[0])).read()])
    for index in range(3):
        case = Case((40,), 192, 72)
        operands = {"a": a[index], "w": w[index], "bias": None, "residual": None}
        check(case, operands, results[1][0][index], EPS[f16])
    np.testing.assert_array_equal(results[0][0], results[1][0])
    np.testing.assert_array_equal(results[1][0][0], results[1][1])


def test_refuses_wrong_arguments(device: Device) -> None:
    a, w = device.buffer(f32, (4, 6)), device.buffer(f32, (5, 8))
    with pytest.raises(ShapeError, match=r"\(4, 6\) @ \(5, 8\)"):
        gemm(a, w)
    w = device.buffer(f32, (6, 8))
    with pytest.raises(ShapeError, match=r"bias must be \(8,\), got \(7,\)"):
        gemm(a, w, bias=device.buffer(f32, 7))
    with pytest.raises(ShapeError, match="residual must be"):
        gemm(a, w, residual=device.buffer(f32, (4, 7)))
    with pytest.raises(ShapeError, match="'swish'"):
        gemm(a, w, activation="swish")
    with pytest.raises(ShapeError, match="even number of columns"):
        gemm(a, device.buffer(f32, (6, 7)), activation="geglu")
    with pytest.raises(ShapeError, match="few_rows must be"):
        gemm(a, w, activation="geglu", few_rows=True)
    with pytest.raises(DTypeError, match="one float dtype"):
        gemm(a, w, residual=device.buffer(f16, (4, 8)))  # type: ignore[arg-type]


def test_dawn_accepts_every_matrix_tile() -> None:
    assert_accepted("from tests.gpustd.matmul.matrix_texts import texts\nsources += texts()")


# The last two are whole tiles, whose results leave matrix units without workgroup memory.
@pytest.mark.parametrize(
    ("variant", "sizes"),
    [
        ("", ((2, 19), 24, 40)),
        ("matrix", ((2, 19), 24, 40)),
        ("matrix", ((2, 32), 40, 64)),
        ("matrix loaders", ((2, 32), 96, 64)),
    ],
    ids=str,
)
def test_wide_gemm_is_not_rounded_to_f16(
    device: Device,
    variant: str,
    sizes: tuple[tuple[int, int], int, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    skip_without_f16(device, "f16")
    case = Case(*sizes)
    operands = draw(case, f16, seed=8)
    a, w = operands["a"], operands["w"]
    assert a is not None
    assert w is not None
    with on_variant(device, variant, monkeypatch) if variant else nullcontext():
        result = wide_gemm(device.buffer_from_array(a), device.buffer_from_array(w)).read()
    assert result.dtype == np.float32
    check(case, operands, result, EPS[f32])
