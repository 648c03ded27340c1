"""attention against NumPy float64, on every variant and engine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gpucore import Device, DType, DTypeError, ShapeError, f16, f32
from gpucore.backends.null import NullBackend
from gpucore.wgsl import parse, reflect
from gpustd.launch.subgroups import broadcast_lanes
from gpustd.launch.template import render
from gpustd.launch.variants import force_variant
from gpustd.nn.attention import fused, variants
from gpustd.nn.attention.fused import attention, self_attention
from gpustd.nn.attention.matrix import MatrixTile, best_tile, matrix_shader
from gpustd.nn.attention.sizes import AttentionSizes
from gpustd.nn.attention.variants import FlashTile
from gpustd.nn.attention.wide_head import attention_by_products
from tests.conftest import skip_without_f16
from tests.draws import draws
from tests.gpustd import emulated_units
from tests.gpustd.emulated_units import emulated_kernel, need_matrix_units
from tests.gpustd.matrix_emulator import emulate
from tests.gpustd.null_validator import assert_accepted
from tests.gpustd.poison import poison_pool
from tests.gpustd.reference import attention as oracle
from tests.gpustd.reference.attention import CASES, Case

# Cases are sizes, dtypes, tiles and variants.
pytestmark = pytest.mark.sampled

Array = NDArray[Any]

named = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def run(device: Device, case: Case, operands: tuple[Array, Array, Array]) -> Array:
    """Return the result of attention in memory that held NaN."""
    q, k, v = (device.buffer_from_array(x) for x in operands)
    poison_pool(device, q.nbytes)
    return attention(q, k, v, heads=case.heads, causal=case.causal).read()


def check(
    case: Case, operands: tuple[Array, Array, Array], result: Array, weights: float = 0.0
) -> None:
    """``weights`` is the rounding of the stored weights, for the variant that stores them."""
    q, k, v = (x.astype(np.float64) for x in operands)
    expected = oracle.reference(q, k, v, case.heads, case.causal)
    out = 2.0**-11 if result.dtype == np.float16 else 2.0**-24
    allowed = oracle.bound(q, k, v, case.heads, case.causal, out, weights)
    assert result.shape == expected.shape
    assert np.all(np.isfinite(result))
    error = np.abs(result.astype(np.float64) - expected)
    assert np.all(error <= allowed), f"worst {np.max(error / allowed):.2f} of what is allowed"


@named
@pytest.mark.parametrize("dtype", [f32, f16], ids=lambda d: d.name)
def test_matches_float64(device: Device, case: Case, dtype: type[DType]) -> None:
    skip_without_f16(device, dtype.name)
    operands = oracle.draw(case, dtype.numpy, seed=1)
    stored = 2.0**-11 if dtype is f16 and device.has_matrix_units else 0.0
    if stored and case.sk > 128:
        stored += off(case.head)
    check(case, operands, run(device, case, operands), weights=stored)


@settings(max_examples=draws(12), deadline=None)
@given(
    st.integers(0, 2),
    st.sampled_from([0, 1, 2, 7, 33]),
    st.sampled_from([1, 2, 5, 31, 40]),
    st.integers(1, 3),
    st.sampled_from([1, 4, 7, 8, 20]),
    st.booleans(),
    st.sampled_from([f32, f16]),
)
def test_drawn_cases(
    device: Device,
    batch: int,
    queries: int,
    keys: int,
    heads: int,
    head: int,
    causal: bool,
    dtype: type[DType],
) -> None:
    """Also of q, k and v side by side, where there are as many."""
    dtype = dtype if device.has_f16 else f32
    case = Case(batch, queries, keys, heads, head, causal, peak=2.0)
    operands = oracle.draw(case, dtype.numpy, seed=1)
    stored = 2.0**-11 if dtype is f16 and device.has_matrix_units else 0.0
    check(case, operands, run(device, case, operands), weights=stored)
    case = replace(case, sq=keys)
    operands = oracle.draw(case, dtype.numpy, seed=2)
    qkv = device.buffer_from_array(np.concatenate(operands, axis=2))
    poison_pool(device, operands[0].nbytes)
    result = self_attention(qkv, heads=heads, causal=causal).read()
    check(case, operands, result, weights=stored)


@named
def test_naive_variant(device: Device, case: Case) -> None:
    operands = oracle.draw(case, np.float32, seed=2)
    with force_variant("attention", "naive"):
        check(case, operands, run(device, case, operands))


# Of variants that stage keys in workgroup memory. Heads of "rows" are narrow: its text has loads
# for each chunk of 8 keys, and software compiles in a time that grows with the square of its loads.
# GPUs, which take that variant by themselves, have wider heads in test_matches_float64.
STAGED_CASES = (
    ("flash", Case(2, 70, 77, 2, 40)),
    ("flash", Case(1, 77, 77, 2, 40, causal=True)),
    ("flash", Case(2, 15, 45, 3, 7)),
    ("flash", Case(1, 33, 100, 2, 40, peak=300.0)),
    ("rows", Case(2, 150, 77, 2, 12)),
    ("rows", Case(1, 140, 140, 2, 16, causal=True)),
    ("rows", Case(2, 15, 45, 3, 4)),
    ("rows", Case(1, 33, 100, 2, 12, peak=300.0)),
)


@pytest.mark.parametrize(("variant", "case"), STAGED_CASES, ids=lambda x: getattr(x, "name", x))
@pytest.mark.parametrize("dtype", [f32, f16], ids=lambda d: d.name)
def test_staged_variants(device: Device, variant: str, case: Case, dtype: type[DType]) -> None:
    skip_without_f16(device, dtype.name)
    operands = oracle.draw(case, dtype.numpy, seed=3)
    with force_variant("attention", variant):
        check(case, operands, run(device, case, operands))


def test_flash_variant_in_slabs(device: Device) -> None:
    """Wide heads pass through in slabs; here 40 channels in slabs of 32.

    Four rows an invocation: software unrolls the loops of fewer, and compiles them for seconds.
    """
    case = Case(1, 70, 45, 2, 40)
    operands = oracle.draw(case, np.float32, seed=3)
    with force_variant("attention", "flash", FlashTile(4, 32)):
        check(case, operands, run(device, case, operands))


def test_cpu_variant_without_subgroups(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(variants, "broadcast_lanes", lambda device: 0)
    for case in (Case(2, 65, 77, 3, 40), Case(1, 33, 40, 2, 20, causal=True)):
        operands = oracle.draw(case, np.float32, seed=4)
        with force_variant("attention", "cpu"):
            check(case, operands, run(device, case, operands))


def test_width_of_a_subgroup_is_what_the_kernel_assumes(device: Device) -> None:
    lanes = broadcast_lanes(device)
    if not lanes:
        pytest.skip(f"{device!r} hands no values round")
    enable = "enable subgroups;" if device.info.engine == "dawn" else ""
    kernel = device.compile_kernel(
        enable
        + """
        @group(0) @binding(0) var<storage, read_write> y: array<u32>;
        @compute @workgroup_size(64)
        fn main(@builtin(local_invocation_index) i: u32, @builtin(subgroup_size) n: u32) {
            y[i] = subgroupBroadcast(i, 0u) + 1000u * n;
        }"""
    )
    y = device.buffer_from_array(np.zeros(64, np.uint32))
    kernel(y, grid=1)
    np.testing.assert_array_equal(y.read(), np.arange(64) // lanes * lanes + 1000 * lanes)


slow = pytest.mark.slow

# Compiling the emulation takes a second for each ten matrix built-ins.
MATRIX_CASES = (
    pytest.param(Case(1, 20, 64, 1, 8, causal=True)),
    pytest.param(Case(2, 70, 77, 2, 24)),
    pytest.param(Case(1, 77, 100, 2, 24, causal=True, peak=20.0)),
)


TILES = (
    MatrixTile(1, 4, 32),
    MatrixTile(2, 2, 32),
    MatrixTile(1, 4, 32, relative=True),
    MatrixTile(2, 2, 48, relative=True),
    MatrixTile(1, 4, 32, ahead=True),
    MatrixTile(2, 2, 16, ahead=True, lean=True),
    MatrixTile(2, 1, 16, ahead=True, teams=2),
)
HEAVY_TILES = (TILES[3], TILES[6])
NARROW_TILES = (
    MatrixTile(1, 2, 32),
    MatrixTile(2, 1, 16),
    MatrixTile(1, 2, 32, relative=True),
    MatrixTile(1, 1, 16, teams=2),
)


def off(head: int) -> float:
    """Return the relative error of a score in f16: a sum for each 16 channels, each rounded."""
    return -(-head // 16) * 24 * 2.0**-11 * float(np.log(2))


@pytest.mark.parametrize("tile", TILES, ids=str)
@pytest.mark.parametrize("case", MATRIX_CASES, ids=lambda case: case.name)
def test_matrix_variant(
    device: Device, case: Case, tile: MatrixTile, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_matrix_variant(device, case, tile, monkeypatch)


@pytest.mark.parametrize("tile", NARROW_TILES, ids=str)
def test_matrix_variant_rescales_wide_heads(
    device: Device, tile: MatrixTile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of the last fragment is to spare, and Q comes in two slabs if scores are relative."""
    head = 56 if device.has_matrix_units else 40
    check_matrix_variant(
        device, Case(1, 40, 70, 1, head, causal=True, peak=20.0), tile, monkeypatch
    )


def emulable(device: Device, head: int, tile: MatrixTile) -> int:
    """``head``; but 8 where the emulation of so many fragments would compile for half a minute."""
    return 8 if tile in HEAVY_TILES and not device.has_matrix_units else head


def check_matrix_variant(
    device: Device, case: Case, tile: MatrixTile, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = replace(case, head=emulable(device, case.head, tile))
    rounding = 2.0**-11 + (off(case.head) if tile.ahead else 0.0)
    operands = oracle.draw(case, np.float16, seed=5)
    check_by_matrix(device, case, operands, tile, monkeypatch, rounding)


def check_by_matrix(
    device: Device,
    case: Case,
    operands: tuple[Array, Array, Array],
    tile: MatrixTile,
    monkeypatch: pytest.MonkeyPatch,
    weights: float = 2.0**-11,
) -> None:
    need_matrix_units(device)
    if not device.has_matrix_units:
        monkeypatch.setattr(fused, "kernel", emulated_kernel)
    with force_variant("attention", "matrix", tile):
        check(case, operands, run(device, case, operands), weights)


@pytest.mark.parametrize("tile", TILES[2:], ids=str)
@pytest.mark.parametrize("peak", [2.0, 4.0])
def test_relative_scores_are_rounded_little(
    device: Device, peak: float, tile: MatrixTile, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Case(1, 70, 200, 2, emulable(device, 24, tile), peak=peak)
    operands = oracle.draw(case, np.float16, seed=7)
    check_by_matrix(device, case, operands, tile, monkeypatch, 2.0**-11 + off(case.head))


@pytest.mark.parametrize("tile", TILES[2:], ids=str)
def test_relative_scores_that_overflow_are_made_exactly(
    device: Device, tile: MatrixTile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the 97th key on they are infinite in f16; those of the keys before are small.

    All is made anew where scores are ahead: no allowance for f16.
    """
    case = Case(1, 70, 200, 2, emulable(device, 24, tile))
    q, k, v = oracle.draw(case, np.float16, seed=8)
    k[:, 96:] = np.sign(q[:, :1]) * 30000
    check_by_matrix(device, case, (q, k, v), tile, monkeypatch)


@pytest.mark.parametrize("teams", [1, 2])
def test_matrix_variant_does_not_depend_on_the_batch(
    device: Device, teams: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks of rows are sorted among heads and images; the second image is made anew in f32."""
    case, tile = Case(2, 70, 140, 3, 8, causal=True), MatrixTile(1, 2, 16, ahead=True, teams=teams)
    q, k, v = oracle.draw(case, np.float16, seed=12)
    k[1, 40:] *= 30
    rounding = 2.0**-11 + off(case.head)
    check_by_matrix(device, case, (q, k, v), tile, monkeypatch, rounding)
    with force_variant("attention", "matrix", tile):
        together = run(device, case, (q, k, v))
        for i in range(2):
            one = (q[i : i + 1], k[i : i + 1], v[i : i + 1])
            alone = run(device, replace(case, batch=1), one)
            np.testing.assert_array_equal(together[i], alone[0])


@slow
def test_matrix_variant_reads_heads_of_80_in_pieces(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one loop and one block of rows, whose emulation compiles in a tenth of the time."""
    check_matrix_variant(
        device, Case(1, 40, 140, 1, 80), MatrixTile(1, 2, 16, teams=2), monkeypatch
    )


@slow
@pytest.mark.parametrize(
    "tile", [MatrixTile(1, 2, 16), MatrixTile(1, 2, 32, relative=True)], ids=str
)
def test_matrix_variant_of_wide_heads(
    device: Device, tile: MatrixTile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Q comes in slabs: three, or two where emulation of more would compile for half a minute."""
    head = 48 if tile.relative and not device.has_matrix_units else 96
    check_matrix_variant(device, Case(1, 40, 70, 1, head), tile, monkeypatch)


@pytest.mark.parametrize(
    "case", [Case(1, 20, 40, 1, 8, causal=True), Case(1, 20, 5, 1, 8)], ids=lambda case: case.name
)
def test_a_team_whose_keys_are_not_seen_adds_nothing(
    device: Device, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GPUs do not round the product in fma, software may: a score is a little less instead."""

    def unrounded(source: str) -> str:
        text = emulate(source)
        assert "exp2(fma(a" in text
        return text.replace("exp2(fma(a", "exp2(fma(0.9999999 * a")

    monkeypatch.setattr(emulated_units, "_emulated", {})
    monkeypatch.setattr(emulated_units, "emulate", unrounded)
    operands = oracle.draw(case, np.float16, seed=3)
    check_by_matrix(device, case, operands, MatrixTile(1, 1, 16, teams=2), monkeypatch)


def test_matrix_variant_takes_scores_that_f32_tells_apart_by_4(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Later keys have scores of 16.3 powers of two more, beyond what f16 holds as a weight."""
    case = Case(24, 17, 64, 1, 8)
    q, k, v = np.ones((24, 17, 8)), np.zeros((24, 64, 8)), np.ones((24, 64, 8))
    q[..., 1:], k[..., 1:] = 2048, 2400 + 2 * np.arange(24)[:, None, None]
    k[:, 33:, 0] = 32
    operands = (q.astype(np.float16), k.astype(np.float16), v.astype(np.float16))
    check_by_matrix(device, case, operands, MatrixTile(1, 1, 32), monkeypatch)


def test_matrix_variant_keeps_an_infinity_in_its_channel(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The infinity is in V, for the first key, whose row follows the last row of K."""
    need_matrix_units(device)
    if not device.has_matrix_units:
        monkeypatch.setattr(fused, "kernel", emulated_kernel)
    q, k, v = oracle.draw(Case(2, 70, 77, 2, 24), np.float16, seed=6)
    v[0, 0, 0] = np.inf
    with force_variant("attention", "matrix", MatrixTile(1, 4, 32)):
        result = run(device, Case(2, 70, 77, 2, 24), (q, k, v))
    assert not np.isfinite(result[0, :, 0]).any()
    assert np.isfinite(result[0, :, 1:]).all()
    assert np.isfinite(result[1]).all()


@pytest.mark.parametrize("dtype", [f32, f16], ids=lambda d: d.name)
def test_self_attention_reads_shared_rows(device: Device, dtype: type[DType]) -> None:
    skip_without_f16(device, dtype.name)
    for case in (Case(2, 33, 33, 2, 8), Case(1, 20, 20, 3, 5, causal=True)):
        operands = oracle.draw(case, dtype.numpy, seed=9)
        qkv = device.buffer_from_array(np.concatenate(operands, axis=2))
        result = self_attention(qkv, heads=case.heads, causal=case.causal)
        np.testing.assert_array_equal(result.read(), run(device, case, operands))
    with pytest.raises(ShapeError, match=r"3 \* heads \* D\), got .* for 4 heads"):
        self_attention(device.buffer(f32, (1, 3, 30)), heads=4)


NULL_CHECK = """
from gpustd.launch.template import render
for head in (8, 24, 32, 40, 48, 64, 80, 96, 160):
    tiles = ((1, 32, ""), (1, 32, "relative"), (1, 32, "ahead"), (1, 16, "ahead"), (1, 16, ""))
    tiles += ((2, 32, "relative"), (2, 48, "relative"), (2, 16, "ahead"), (2, 32, "ahead"))
    for fq, keys, form in tiles[: 9 if head <= 80 else 4]:
        spec = dict(scalar="f16", matrix=True, head=head, fq=fq, subgroups=4, keys=keys)
        spec |= dict(relative=form == "relative", ahead=form == "ahead", lean=False, teams=1)
        sources.append(render("nn/attention/matrix.wgsl", spec))
        if form != "relative":
            sources.append(render("nn/attention/matrix.wgsl", spec | dict(lean=True, teams=2)))
masks = (("none", 1), ("f16", 8), ("f16", 4), ("f16", 1), ("f32", 4), ("f32", 1), ("bits", 32))
for mask, unit in masks:
    for fq, ahead in ((1, False), (2, True)):
        spec = dict(scalar="f16", matrix=True, head=40, fq=fq, subgroups=4, keys=32)
        spec |= dict(relative=False, ahead=ahead, lean=unit == 32, teams=1)
        spec |= dict(mask=mask, mask_unit=unit)
        sources.append(render("nn/attention/matrix.wgsl", spec))
"""


def test_dawn_accepts_the_matrix_variant() -> None:
    assert_accepted(NULL_CHECK)


@pytest.mark.parametrize("head", [8, 48, 64, 80, 104, 160])
def test_matrix_tiles_fit_the_least_workgroup_memory(null: Device, head: int) -> None:
    """16 KiB, which WebGPU promises; counted in the text."""
    limits = {**null.limits, "max_compute_workgroup_storage_size": 2**14}
    small = Device(NullBackend(replace(null.info, limits=limits)))
    tiles = {
        best_tile(AttentionSizes(1, 128, 256, heads, head), mask, rounded=rounded)
        for heads in (1, 64, 140, 250)
        for mask in ("", "none", "bits")
        for rounded in (False, True)
    }
    for tile in tiles:
        with force_variant("attention", "matrix", tile):
            spec = matrix_shader(small, AttentionSizes(1, 128, 256, 1, head)).spec
        text = render("nn/attention/matrix.wgsl", {**spec, "scalar": "f16"})
        assert reflect(parse(text)).entry_points["main"].workgroup_bytes() <= 2**14, tile


def test_large_scores_do_not_overflow(device: Device) -> None:
    """Scores of +-1e30: weights are exactly 0 and 1."""
    q = np.full((1, 3, 8), 1e15, np.float32)
    k = np.stack([np.full(8, -1e15), np.full(8, 1e15), np.full(8, 0)])[None].astype(np.float32)
    v = np.arange(24, dtype=np.float32).reshape(1, 3, 8)
    for variant in ("naive", "cpu", "rows", "flash"):
        with force_variant("attention", variant):
            result = run(device, Case(1, 3, 3, 1, 8), (q, k, v))
        np.testing.assert_array_equal(result, np.broadcast_to(v[:, 1:2], (1, 3, 8)))


@pytest.mark.parametrize("variant", ["suited", "naive", "rows", "flash"])
def test_result_does_not_depend_on_the_batch(device: Device, variant: str) -> None:
    case = Case(3, 70, 77, 2, 12 if variant == "rows" else 40)
    operands = oracle.draw(case, np.float32, seed=6)
    with (
        force_variant("attention", variant)
        if variant != "suited"
        else force_variant("none", variant)
    ):
        together = run(device, case, operands)
        for image in range(3):
            one = tuple(x[image : image + 1] for x in operands)
            alone = run(device, replace(case, batch=1), (one[0], one[1], one[2]))
            np.testing.assert_array_equal(together[image], alone[0])


def test_refuses_what_does_not_fit(device: Device) -> None:
    q = device.buffer(f32, (1, 4, 12))
    with pytest.raises(ShapeError, match="must be"):
        attention(device.buffer(f32, (4, 12)), q, q, heads=2)
    with pytest.raises(ShapeError, match="batch and channels of q"):
        attention(q, device.buffer(f32, (1, 4, 8)), device.buffer(f32, (1, 4, 8)), heads=2)
    with pytest.raises(ShapeError, match="alike"):
        attention(q, q, device.buffer(f32, (1, 5, 12)), heads=2)
    with pytest.raises(ShapeError, match="at least one key"):
        attention(q, device.buffer(f32, (1, 0, 12)), device.buffer(f32, (1, 0, 12)), heads=2)
    with pytest.raises(ShapeError, match="heads must divide the 12 channels, got 5"):
        attention(q, q, q, heads=5)
    with pytest.raises(DTypeError, match="one float dtype"):
        attention(q, device.buffer(f16, (1, 4, 12)), q, heads=2)  # type: ignore[arg-type]


@pytest.mark.parametrize("case", [Case(2, 130, 72, 1, 24), Case(1, 200, 8, 1, 512)])
def test_products_form(device: Device, case: Case) -> None:
    """Scores for 64 queries at a time, and all at once."""
    operands = oracle.draw(case, np.float32, seed=11)
    with force_variant("attention", "products"):
        whole = run(device, case, operands)
    check(case, operands, whole)
    q, k, v = (device.buffer_from_array(x) for x in operands)
    parts = attention_by_products(q, k, v, most_scores=64).read()
    np.testing.assert_array_equal(parts, whole)
