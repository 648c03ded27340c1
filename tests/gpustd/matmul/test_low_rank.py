"""low_rank_update and low_rank_conv2d against NumPy float64, on every variant and engine."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gpucore import Device, DType, DTypeError, ShapeError, f16, f32, u32
from gpustd import fused_conv2d, gemm
from gpustd.launch.variants import force_variant
from gpustd.matmul import launching, low_rank
from gpustd.matmul.conv import Padding, Window
from gpustd.matmul.low_rank import (
    NO_UPDATE,
    LowRank,
    PackedUpdate,
    low_rank_conv2d,
    low_rank_sum,
    low_rank_update,
)
from gpustd.matmul.rank_slots import Move, Moves, Region, Source, moves_table, place_matrices
from tests.conftest import skip_without_f16
from tests.gpustd.emulated_units import emulated_kernel, need_matrix_units
from tests.gpustd.hopper_cards import skip_without_wgmma
from tests.gpustd.matmul.small_tiles import SMALL_MATRIX
from tests.gpustd.reference.low_rank import CASES, NONE, Case, bound, reference

Array = NDArray[Any]

EPS: dict[type[DType], float] = {f32: float(np.finfo(np.float32).eps), f16: 2.0**-10}


def _geglu(sums: Array) -> Array:
    value, gate = np.split(sums, 2, axis=-1)
    return value * gate * (1 + np.vectorize(math.erf)(gate / 2**0.5)) / 2


ACTIVATED: dict[str | None, Callable[[Array], Array]] = {
    None: lambda sums: sums,
    "silu": lambda sums: sums / (1 + np.exp(-sums)),
    "geglu": _geglu,
}
_MOST_EMULATED = 1 << 20
FOR_MATRIX_UNITS = [case for case in CASES if case.rows >= 32 and case.k % 16 == 0]
# Rows of whole tiles, K in one part and in several, columns of less and of more than one tile.
FOR_HOPPER = [
    Case((2, NONE, 0, 1), 128, 320, 16, 72),
    Case((1, 0), 256, 1280, 32, 3 * 80, 3),
    Case((0, NONE, 2), 128, 5120, 32, 64),
    Case((2, 1), 384, 128, 144, 128),
]
WINDOWS = {
    "padded": Window(1, Padding(1, 1, 1, 1)),
    "stride": Window(2, Padding(0, 1, 0, 1)),
    "enlarged": Window(1, Padding(1, 1, 1, 1), (11, 10)),
    "wrapped": Window(1, Padding(1, 1, 1, 1), None, "xy"),
}


def draw(case: Case, dtype: type[DType]) -> dict[str, Array]:
    """Return random operands, rounded to the storage type."""
    rng = np.random.default_rng(case.k + case.n)
    slots, width = 3, case.groups * case.ranks
    shapes = {
        "x": (len(case.chosen), case.rows, case.k),
        "down": (slots, case.k, width),
        "up": (slots, case.ranks, case.n),
    }
    return {name: rng.standard_normal(s).astype(dtype.numpy) for name, s in shapes.items()}


def run(device: Device, case: Case, operands: dict[str, Array]) -> Array:
    """Return the result of low_rank_update in memory that held NaN."""
    x, down, up = (device.buffer_from_array(each) for each in operands.values())
    chosen = device.buffer_from_array(slots_of(case.chosen), u32)
    size = 4 * len(case.chosen) * case.rows * (case.n + case.groups * case.ranks) + 4096
    device.buffer_from_array(np.full(size, np.nan, operands["x"].dtype)).release()
    return low_rank_update(x, down, up, chosen, case.groups).read()


def slots_of(chosen: tuple[int, ...]) -> Array:
    """Return the slots of images, as a device has them."""
    return np.array([NO_UPDATE if each == NONE else each for each in chosen], np.uint32)


def check(case: Case, operands: dict[str, Array], result: Array, dtype: type[DType]) -> None:
    wide = {name: each.astype(np.float64) for name, each in operands.items()}
    expected = reference(case, **wide)
    limit = bound(case, **wide, eps=EPS[dtype])
    assert result.shape == expected.shape
    assert (np.abs(result - expected) <= limit).all()
    for image, slot in zip(result, case.chosen, strict=True):
        if slot == NONE:  # -0, which changes nothing that it is added to
            assert not image.any()
            assert np.signbit(image).all()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("dtype", [f32, f16], ids=lambda d: d.name)
def test_matches_float64(device: Device, case: Case, dtype: type[DType]) -> None:
    skip_without_f16(device, dtype.name)
    operands = draw(case, dtype)
    check(case, operands, run(device, case, operands), dtype)


@pytest.mark.parametrize("case", FOR_MATRIX_UNITS, ids=lambda case: case.name)
def test_matrix_units(device: Device, case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    need_matrix_units(device)
    if not device.has_matrix_units:
        monkeypatch.setattr(low_rank, "kernel", emulated_kernel)
    operands = draw(case, f16)
    with force_variant("low_rank", "matrix"):
        check(case, operands, run(device, case, operands), f16)


@pytest.mark.parametrize("case", FOR_HOPPER, ids=lambda case: case.name)
def test_narrow_halves_for_hopper(device: Device, case: Case) -> None:
    skip_without_wgmma(device)
    operands = draw(case, f16)
    operands["down"] = (operands["down"] / case.k**0.5).astype(np.float16)
    found = run(device, case, operands)
    check(case, operands, found, f16)
    for image, slot in enumerate(case.chosen):
        if slot == NONE:
            continue
        down, up = operands["down"][[slot]], operands["up"][[slot]]
        parts = np.split(down, case.groups, 2)
        wider = {
            "x": operands["x"][[image]],
            "down": np.concatenate([each for part in parts for each in (part, 0 * part)], 2),
            "up": np.concatenate([up, np.ones_like(up)], 1),
        }
        alone = Case((0,), case.rows, case.k, 2 * case.ranks, case.n, case.groups)
        np.testing.assert_array_equal(run(device, alone, wider)[0], found[image])


@pytest.mark.parametrize("matrix", [False, True])
def test_an_image_has_its_bits_in_any_batch_and_with_more_ranks(
    device: Device, matrix: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    dtype = f16 if matrix else f32
    if matrix:
        need_matrix_units(device)
        if not device.has_matrix_units:
            monkeypatch.setattr(low_rank, "kernel", emulated_kernel)
    case = Case((2, NONE, 0, 1), 40, 80, 16, 72)
    operands = draw(case, dtype)
    with force_variant("low_rank", "matrix" if matrix else "plain"):
        together = run(device, case, operands)
        for image, slot in enumerate(case.chosen):
            down, up = operands["down"][[max(slot, 0)]], operands["up"][[max(slot, 0)]]
            wider = {
                "x": operands["x"][[image]],
                "down": np.concatenate([down, 0 * down], 2),
                "up": np.concatenate([up, np.ones_like(up)], 1),
            }
            alone = Case((min(slot, 0),), 40, 80, 32, 72)
            np.testing.assert_array_equal(run(device, alone, wider)[0], together[image])


@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)
@pytest.mark.parametrize("dtype", [f32, f16], ids=lambda d: d.name)
def test_convolutions(device: Device, window: Window, dtype: type[DType]) -> None:
    """The narrow half is a convolution, whose own test compares it with NumPy."""
    skip_without_f16(device, dtype.name)
    rng, upload = np.random.default_rng(1), device.buffer_from_array
    x, second, down, up = (
        rng.standard_normal(shape).astype(dtype.numpy)
        for shape in ((3, 6, 5, 8), (3, 6, 5, 4), (2, 3, 3, 12, 16), (2, 16, 6))
    )
    chosen = (1, NONE, 0)
    slots = upload(slots_of(chosen), u32)
    operands = upload(x), upload(down), upload(up), slots, window
    plain = low_rank_conv2d(*operands, second=upload(second)).read()
    residual = rng.standard_normal(plain.shape).astype(dtype.numpy)
    found = low_rank_conv2d(*operands, second=upload(second), residual=upload(residual)).read()
    for image, slot in enumerate(chosen):
        if slot == NONE:
            np.testing.assert_array_equal(found[image], residual[image])
            continue
        narrow = fused_conv2d(
            upload(x[[image]].astype(np.float32)),
            upload(down[slot].astype(np.float32)),
            second=upload(second[[image]].astype(np.float32)),
            stride=window.stride,
            padding=window.padding,
            upsample=window.upsample,
            wrap=window.wrap,
        ).read()
        expected = narrow[0].astype(np.float64) @ up[slot].astype(np.float64)
        # Sums of 108 and of 16 products, rounded once to the storage type.
        limit = (EPS[dtype] + 124 * EPS[f32]) * 108 * 16
        assert np.abs(plain[image] - expected).max() <= limit
        assert np.abs(found[image] - expected - residual[image]).max() <= limit


PRODUCTS = {
    "plain": (Case((2, NONE, 0), 5, 16, 8, 24), None),
    "groups": (Case((NONE, 1), 48, 64, 16, 3 * 80, 3), None),
    "ranks": (Case((0, NONE, 2), 32, 128, 48, 144), "silu"),
    "gates": (Case((1, NONE), 48, 64, 16, 2 * 96), "geglu"),
    "parts": (Case((1, 0), 32, 3840, 32, 128), None),
    "many rows": (Case((NONE, 2), 256, 320, 32, 3 * 320, 3), None),
}


@pytest.mark.parametrize("name", PRODUCTS)
@pytest.mark.parametrize("units", [False, True])
def test_gemm_adds_it_before_the_activation(
    device: Device, name: str, units: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Images have their bits alone, and those without an update the bits of a plain product."""
    case, activation = PRODUCTS[name]
    dtype = f16 if units else f32
    if units:
        need_halves(device, monkeypatch, name)
    rng, operands, upload = np.random.default_rng(2), draw(case, dtype), device.buffer_from_array
    columns = case.n // 2 if activation == "geglu" else case.n
    w = (rng.standard_normal((case.k, case.n)) / case.k**0.5).astype(dtype.numpy)
    residual = rng.standard_normal((len(case.chosen), case.rows, columns)).astype(dtype.numpy)
    operands["down"] = (operands["down"] / case.k**0.5).astype(dtype.numpy)
    down, up, weights = (upload(each) for each in (operands["down"], operands["up"], w))

    def multiply(images: slice, *, plain: bool = False) -> Array:
        slots = upload(slots_of(case.chosen[images]), u32)
        update = None if plain else LowRank(down, up, slots, case.groups)
        with emulated(device) if units else nullcontext():
            return gemm(
                upload(operands["x"][images]),
                weights,
                activation=activation,
                residual=upload(residual[images]),
                update=update,
            ).read()

    together, without = multiply(slice(None)), multiply(slice(None), plain=True)
    wide = {key: each.astype(np.float64) for key, each in operands.items()}
    sums = wide["x"] @ w.astype(np.float64) + reference(case, **wide)
    expected = ACTIVATED[activation](sums) + residual
    limit = 4 * EPS[dtype] + case.k**0.5 * EPS[f32]
    assert np.linalg.norm(together - expected) <= limit * np.linalg.norm(expected)
    for image, slot in enumerate(case.chosen):
        alone = multiply(slice(image, image + 1))[0]
        np.testing.assert_array_equal(alone, together[image])
        if slot == NONE:
            np.testing.assert_array_equal(alone, without[image])


def emulated(device: Device) -> AbstractContextManager[None]:
    """Let emulated units compute in a small tile; the device's own as it chooses."""
    if device.has_matrix_units:
        return nullcontext()
    return force_variant("matmul", "matrix", SMALL_MATRIX["matrix"])


def need_halves(device: Device, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Skip without matrix units, also emulated ones; let launches find those."""
    case = PRODUCTS[name][0]
    if case.rows % 16:
        pytest.skip("rows that matrix units do not add")
    if device.has_matrix_units:
        return
    if name == "gates" or case.k * case.n * case.rows > _MOST_EMULATED:
        pytest.skip("too much for emulated matrix units")
    need_matrix_units(device)
    for module in (low_rank, launching):
        monkeypatch.setattr(module, "kernel", emulated_kernel)
    monkeypatch.setattr(low_rank._Update, "_takes_matrix_units", lambda self, x, second: True)


@pytest.mark.parametrize("dtype", [f32, f16], ids=lambda d: d.name)
def test_sums_of_weights_are_rounded_once(device: Device, dtype: type[DType]) -> None:
    skip_without_f16(device, dtype.name)
    rng = np.random.default_rng(4)
    w, down, up = (
        rng.standard_normal(shape).astype(dtype.numpy)
        for shape in ((24, 12), (1, 24, 3 * 8), (1, 8, 12))
    )
    before = np.full(16, np.nan, dtype.numpy)
    lying = (
        device.buffer_from_array(np.concatenate([before, *given]))
        for given in ([down.reshape(-1)], [before, up.reshape(-1)])
    )
    update = PackedUpdate(*lying, 8, 3, 16, 32)
    counts = device.buffer_from_array(np.zeros(1), u32)
    found = low_rank_sum(device.buffer_from_array(w), update, counts).read().astype(np.float64)
    assert counts.read().tolist() == [0]
    wide = {"down": down.astype(np.float64), "up": up.astype(np.float64)}
    case = Case((0,), 24, 24, 8, 12, 3)
    expected = w + reference(case, np.eye(24)[None], **wide)[0]
    # 8 products and the weight are added in f32, then rounded: half a unit in the last place.
    sums = np.abs(w) + reference(case, np.eye(24)[None], *map(np.abs, wide.values()))[0]
    limit = np.abs(expected) * EPS[dtype] / 2 + 10 * EPS[f32] * sums
    assert (np.abs(found - expected) <= limit).all()


@pytest.mark.parametrize("matrix", [False, True])
def test_sums_that_overflow_are_counted_once(
    device: Device, matrix: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks of matrix units overlap: rows 8 to 31, columns 8 to 63, and whole blocks of theirs."""
    skip_without_f16(device, "f16")
    if matrix:
        need_matrix_units(device)
        if not device.has_matrix_units:
            monkeypatch.setattr(low_rank, "kernel", emulated_kernel)
    w = np.zeros((40, 3 * 72), np.float16)
    places = [(0, 0), (9, 71), (31, 8), (39, 143), (39, 215), (20, 150), (20, 151)]
    for place in places:
        w[place] = 65504
    ones = device.buffer_from_array(np.ones((40, 3 * 16)), f16)
    up = device.buffer_from_array(np.full((16, 3 * 72), 4), f16)
    counts = device.buffer_from_array(np.zeros(1), u32)
    with force_variant("low_rank", "matrix" if matrix else "plain"):
        update = PackedUpdate(ones, up, 16, 3)
        found = low_rank_sum(device.buffer_from_array(w), update, counts).read()
    np.testing.assert_array_equal(found, np.where(w == 0, 64, np.float16(np.inf)))
    assert counts.read().tolist() == [len(places)]


@pytest.mark.parametrize("target", [f32, f16], ids=lambda d: d.name)
def test_matrices_are_turned_round_into_slots(device: Device, target: type[DType]) -> None:
    """Tap by tap, times a factor, with zeros after them; what a slot cannot hold is counted."""
    skip_without_f16(device, target.name)
    ranks, inputs, taps = 3, 5, 4
    given = np.arange(ranks * inputs * taps, dtype=np.float32).reshape(ranks, inputs, taps)
    given[1, 2, 3] = np.inf
    source = Source(3, inputs * taps, inputs * taps, 2, 0.5)
    packed = device.buffer_from_array(np.concatenate([[5, 6, 7], given.reshape(-1)]), f32)
    slots, others = (
        device.buffer_from_array(np.full((2, taps * inputs, 8), 7), target) for _ in range(2)
    )
    failures = device.buffer_from_array(np.zeros(1), u32)
    region = Region(taps * inputs * 8 + 1, 8, taps * inputs, 4, taps)
    moves = [Move(source, region, goes_up=up) for up in (True, False, True)]
    table = device.buffer_from_array(moves_table(moves), u32)
    place_matrices(
        packed, Moves(table, 1, 1, region.rows * region.columns), slots, others, failures
    )
    expected = np.full((2, taps * inputs, 8), 7.0)
    expected[1, :, 1:5] = 0.0
    expected[1, :, 1:3] = 0.5 * np.where(np.isfinite(given), given, 0)[:2].transpose(
        2, 1, 0
    ).reshape(taps * inputs, 2)
    np.testing.assert_array_equal(slots.read(), expected)
    assert (others.read() == 7).all()
    assert failures.read().tolist() == [1]
    place_matrices(packed, Moves(table, 2, 1, 64), others, slots, failures)
    np.testing.assert_array_equal(slots.read(), expected)
    assert (others.read() == 7).all()


def test_what_does_not_fit_is_refused(device: Device) -> None:
    up = device.buffer_from_array
    x, down = up(np.ones((2, 3, 5)), f32), up(np.ones((1, 5, 8)), f32)
    wide, chosen = up(np.ones((1, 8, 6)), f32), up(np.zeros(2), u32)
    with pytest.raises(ShapeError, match="ranks a multiple of 4"):
        low_rank_update(x, down, up(np.ones((1, 6, 6)), f32), chosen)
    with pytest.raises(ShapeError, match="N must be a multiple of 2 groups"):
        low_rank_update(x, down, up(np.ones((1, 4, 7)), f32), chosen, 2)
    with pytest.raises(ShapeError, match="a slot for each of 2 images"):
        low_rank_update(x, down, wide, up(np.zeros(1), u32))
    numbers: Any = up(np.zeros(2), f32)
    with pytest.raises(DTypeError, match="chosen must be u32"):
        low_rank_update(x, down, wide, numbers)
    with pytest.raises(ShapeError, match="update must have 7 columns, got 6"):
        gemm(x, up(np.ones((5, 7)), f32), update=LowRank(down, wide, chosen))
