"""Attention in CUDA C++ for cards from 8.0 on: what compiles, what is taken, results on a card."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gpucore import Device, ShapeError, f16, f32
from gpustd import attention, self_attention
from gpustd.launch.template import native_code
from gpustd.launch.variants import force_variant
from gpustd.nn.attention.ampere import AmpereTile, ampere_shader, best_ampere_tile
from gpustd.nn.attention.sizes import AttentionSizes
from tests.gpustd.hopper_cards import compiler_or_skip, fake_card, skip_without_native_kernels
from tests.gpustd.poison import poison_pool
from tests.gpustd.reference import attention as oracle
from tests.gpustd.reference.attention import Case

Array = NDArray[Any]

HEADS = (8, 40, 48, 64, 80, 120, 160)
SIZES = [(sq, sk) for sq in (64, 300, 1024, 4096) for sk in (1, 77, 81, 1024, 4096)]
MOST_MEMORY = 101376  # of a block on compute capability 8.6 and 8.9
ARCHITECTURES = ("sm_80", "sm_89", "sm_90a")


def tiles_of(head: int) -> list[AmpereTile]:
    """Return the tiles that are chosen for a head, at any size, and one of three stages."""
    sizes = (AttentionSizes(1, sq, sk, heads, head) for sq, sk in SIZES for heads in (1, 20))
    return sorted({best_ampere_tile(each) for each in sizes} | {AmpereTile(32, 1, 2, 3)})


@pytest.mark.parametrize("head", HEADS)
def test_tiles_fit_every_card(head: int) -> None:
    assert len(tiles_of(head)) > 2
    for tile in tiles_of(head):
        assert tile.memory(head) <= MOST_MEMORY


@pytest.mark.parametrize("head", HEADS)
def test_steps_do_not_depend_on_the_batch_or_the_rows(head: int) -> None:
    for keys in (1, 77, 81, 1024, 4096):
        steps = {
            best_ampere_tile(AttentionSizes(batch, sq, keys, heads, head)).keys
            for batch in (1, 2, 4)
            for sq, heads in ((64, 1), (512, 8), (4096, 20))
        }
        assert len(steps) == 1


def text_of(tile: AmpereTile, head: int) -> str:
    with force_variant("attention", "ampere", tile):
        shader = ampere_shader(Device.null(), "f16", AttentionSizes(1, 64, 64, 1, head))
    code = native_code("nn/attention/ampere.cu", {"scalar": "f16", **shader.spec})
    assert not code.follows, "the launch attribute is one of 9.0"
    assert (code.threads, code.memory) == (32 * tile.warps, tile.memory(head))
    return code.text


@pytest.mark.parametrize(
    ("architecture", "tile", "head"),
    [("sm_80", AmpereTile(64, 1, 4, 2), 160), ("sm_89", AmpereTile(64, 2, 4, 2), 40)],
)
def test_one_of_each_kind_compiles(
    architecture: str, tile: AmpereTile, head: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    compiler = compiler_or_skip(monkeypatch, tmp_path)
    assert b"w_kernel" in compiler.compile(text_of(tile, head), architecture)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("head", HEADS)
def test_every_tile_compiles(
    architecture: str, head: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    compiler = compiler_or_skip(monkeypatch, tmp_path)
    for tile in tiles_of(head):
        assert b"w_kernel" in compiler.compile(text_of(tile, head), architecture)


@pytest.mark.parametrize(
    ("capability", "takes"), [((8, 0), True), ((8, 9), True), ((9, 0), False), ((7, 5), False)]
)
def test_the_variant_is_taken_by_cards_and_heads(
    capability: tuple[int, int],
    takes: bool,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    card, library = fake_card(monkeypatch, tmp_path, capability)

    def launched(call: Callable[[], object]) -> bool:
        library.launches.clear()
        call()
        card.synchronize()
        (launch,) = library.launches
        return launch.memory == AmpereTile(64, 1, 4, 2).memory(40)

    q, qkv = card.buffer(f16, (2, 128, 320)), card.buffer(f16, (2, 128, 960))
    assert launched(lambda: attention(q, q, q, heads=8)) == takes
    assert launched(lambda: attention(q, q, q, heads=8, causal=True)) == takes
    assert launched(lambda: self_attention(qkv, heads=8)) == takes
    assert not launched(lambda: attention(q, q, q, heads=80))
    wide = card.buffer(f32, (2, 128, 320))
    assert not launched(lambda: attention(wide, wide, wide, heads=8))
    card.close()


def test_what_it_does_not_make_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    card, _ = fake_card(monkeypatch, tmp_path)
    q, wide = card.buffer(f16, (1, 100, 336)), card.buffer(f32, (1, 100, 320))
    with force_variant("attention", "ampere"):
        for heads in (28, 2):
            with pytest.raises(ShapeError, match="must have a multiple of 8 channels up to 160"):
                attention(q, q, q, heads=heads)
        with pytest.raises(ShapeError, match="got 40 in f32"):
            attention(wide, wide, wide, heads=8)
    with (
        force_variant("attention", "ampere", AmpereTile(80, 1, 4, 1)),
        pytest.raises(ShapeError, match="at most 80 keys, got 100"),
    ):
        attention(q, q, q, heads=7)
    card.close()


# On a card


def check(device: Device, case: Case, tile: AmpereTile | None = None) -> None:
    """Compare the variant with float64, in memory that had NaN."""
    q, k, v = oracle.draw(case, np.float16, seed=1)
    expected = oracle.reference(*(x.astype(np.float64) for x in (q, k, v)), case.heads, case.causal)
    allowed = oracle.bound(
        *(x.astype(np.float64) for x in (q, k, v)),
        *(case.heads, case.causal, 2.0**-11, 2.0**-11),
    )
    operands = [device.buffer_from_array(x) for x in (q, k, v)]
    poison_pool(device, operands[0].nbytes)
    with force_variant("attention", "ampere", tile):
        y = attention(*operands, heads=case.heads, causal=case.causal).read()
    assert np.all(np.isfinite(y))
    assert np.all(np.abs(y - expected) <= allowed), (case.name, tile)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("causal", [False, True])
def test_matches_float64(device: Device, head: int, causal: bool) -> None:
    skip_without_native_kernels(device)
    for tile in tiles_of(head):
        for sq, sk in ((1, 1), (130, 77), (257, 333), (333, 257)):
            if tile.stages > 1 or sk <= tile.keys:
                check(device, Case(2, sq, sk, 3, head, causal), tile)
                check(device, Case(1, sq, sk, 2, head, causal, peak=30.0), tile)


def test_operands_may_lie_side_by_side(device: Device) -> None:
    skip_without_native_kernels(device)
    qkv = np.random.default_rng(2).standard_normal((2, 190, 3 * 160)).astype(np.float16)
    with force_variant("attention", "ampere"):
        y = self_attention(device.buffer_from_array(qkv), heads=4).read()
        parts = (np.ascontiguousarray(qkv[..., n * 160 : n * 160 + 160]) for n in range(3))
        apart = attention(*(device.buffer_from_array(x) for x in parts), heads=4).read()
    assert np.array_equal(y, apart)


def test_tiles_batches_and_runs_have_the_same_bits(device: Device) -> None:
    """The rows of a block, its warps and stages change none; nor does the batch."""
    skip_without_native_kernels(device)
    up = device.buffer_from_array
    q, k, v = np.random.default_rng(3).standard_normal((3, 4, 512, 640)).astype(np.float16)
    results = []
    for tile in (AmpereTile(64, 2, 4, 2), AmpereTile(64, 1, 4, 2), AmpereTile(64, 1, 8, 3)):
        with force_variant("attention", "ampere", tile):
            results.append(attention(up(q), up(k), up(v), heads=10).read())
            one = attention(up(q[:1]), up(k[:1]), up(v[:1]), heads=10).read()
            runs = [attention(up(q), up(k), up(v), heads=10) for _ in range(20)]
        assert np.array_equal(one, results[0][:1])
        assert all(np.array_equal(run.read(), results[0]) for run in runs)
    assert all(np.array_equal(each, results[0]) for each in results)
