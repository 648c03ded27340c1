"""Attention in CUDA C++ for Hopper: what compiles, what is launched, and results on a card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gpucore import Device, f16
from gpustd import attention, self_attention
from gpustd.launch.template import native_code
from gpustd.launch.variants import force_variant
from gpustd.nn.attention.hopper import HopperTile, best_hopper_tile
from gpustd.nn.attention.sizes import AttentionSizes
from tests.gpustd.hopper_cards import (
    ARCHITECTURE,
    compiler_or_skip,
    fake_card,
    skip_without_wgmma,
)

Array = NDArray[Any]

HEADS = (8, 40, 48, 64, 80, 120, 160)
SIZES = [(sq, sk) for sq in (64, 300, 1024, 4096) for sk in (1, 77, 81, 1024, 4096)]
MOST_MEMORY = 232448


def tiles_of(head: int) -> list[HopperTile]:
    """Return the tiles that are chosen for a head, at any size."""
    sizes = (AttentionSizes(1, sq, sk, 2, head) for sq, sk in SIZES)
    return sorted({best_hopper_tile(each) for each in sizes})


@pytest.mark.parametrize("head", HEADS)
def test_tiles_fit_the_card(head: int) -> None:
    for tile in tiles_of(head):
        assert tile.memory(head) <= MOST_MEMORY
        assert not tile.turns or tile.teams == 2


@pytest.mark.parametrize("head", HEADS)
def test_steps_do_not_depend_on_the_batch_or_the_rows(head: int) -> None:
    for keys in (1, 77, 81, 1024, 4096):
        steps = {
            best_hopper_tile(AttentionSizes(batch, sq, keys, heads, head)).keys
            for batch in (1, 2, 4)
            for sq, heads in ((64, 1), (512, 8), (4096, 20))
        }
        assert len(steps) == 1


@pytest.mark.slow
@pytest.mark.parametrize("head", HEADS)
def test_every_tile_compiles(head: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    compiler = compiler_or_skip(monkeypatch, tmp_path)
    for tile in tiles_of(head):
        assert b"w_kernel" in compiler.compile(text_of(tile, head), ARCHITECTURE)


def text_of(tile: HopperTile, head: int) -> str:
    spec = {"head": head, **tile._asdict(), "threads": 128 * (tile.teams + 1), "parts": 1}
    return native_code("nn/attention/hopper.cu", {**spec, "memory": tile.memory(head)}).text


def test_one_of_each_kind_compiles(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    compiler = compiler_or_skip(monkeypatch, tmp_path)
    for tile, head in ((HopperTile(64, 2, 2), 160), (HopperTile(96, 2, 2, turns=True), 40)):
        assert b"w_kernel" in compiler.compile(text_of(tile, head), ARCHITECTURE)


def test_the_variant_is_taken_by_heads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    card, library = fake_card(monkeypatch, tmp_path)

    def launched() -> int:
        card.synchronize()
        count = sum(call == "cuTensorMapEncodeTiled" for call in library.calls)
        library.calls.clear()
        return count

    q = card.buffer(f16, (2, 64, 320))
    attention(q, q, q, heads=8)
    assert launched() == 3
    assert library.launches[-1].grid == (1, 8, 2)
    self_attention(card.buffer(f16, (2, 64, 960)), heads=4)
    assert launched() == 3
    attention(q, q, q, heads=8, causal=True)
    attention(q, q, q, heads=80)
    assert launched() == 0
    card.close()


# On a card


def expected_of(q: Array, k: Array, v: Array, heads: int) -> Array:
    """Return attention in float64."""
    batch, rows, channels = q.shape

    def split(x: Array) -> Array:
        parts = x.astype(np.float64).reshape(batch, -1, heads, channels // heads)
        return parts.transpose(0, 2, 1, 3)

    scores = split(q) @ split(k).transpose(0, 1, 3, 2) / np.sqrt(channels // heads)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    sums = weights / weights.sum(-1, keepdims=True) @ split(v)
    found: Array = sums.transpose(0, 2, 1, 3).reshape(batch, rows, channels)
    return found


def relative_error(result: Array, expected: Array) -> float:
    return float(np.linalg.norm(result - expected) / np.linalg.norm(expected))


# Weights and results are rounded to 11 bits: 2^-12 each in the root mean square, and a little more.
TOLERANCE = 6e-4


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("scale", [1, 12])
def test_matches_float64(device: Device, head: int, scale: float) -> None:
    skip_without_wgmma(device)
    rng = np.random.default_rng(1)
    up = device.buffer_from_array
    for tile in tiles_of(head):
        for sq, sk in ((1, 1), (130, 77), (257, 333)):
            if tile.stages == 1 and sk > tile.keys:
                continue
            shapes = (2, sq, 3 * head), (2, sk, 3 * head), (2, sk, 3 * head)
            q, k, v = (rng.standard_normal(shape).astype(np.float16) for shape in shapes)
            q *= np.float16(scale)
            with force_variant("attention", "hopper", tile):
                y = attention(up(q), up(k), up(v), heads=3).read()
            assert relative_error(y, expected_of(q, k, v, 3)) <= TOLERANCE, (tile, sq, sk)


def test_operands_may_lie_side_by_side(device: Device) -> None:
    skip_without_wgmma(device)
    qkv = np.random.default_rng(2).standard_normal((2, 190, 3 * 160)).astype(np.float16)
    y = self_attention(device.buffer_from_array(qkv), heads=4).read()
    q, k, v = (qkv[..., n * 160 : n * 160 + 160] for n in range(3))
    assert relative_error(y, expected_of(q, k, v, 4)) <= TOLERANCE


def test_images_of_a_batch_have_the_bits_of_one(device: Device) -> None:
    skip_without_wgmma(device)
    up = device.buffer_from_array
    q, k, v = np.random.default_rng(3).standard_normal((3, 4, 512, 640)).astype(np.float16)
    whole = attention(up(q), up(k), up(v), heads=8).read()
    for n in (1, 2):
        some = attention(up(q[:n]), up(k[:n]), up(v[:n]), heads=8).read()
        assert np.array_equal(some, whole[:n])
    again = [attention(up(q), up(k), up(v), heads=8) for _ in range(20)]
    assert all(np.array_equal(each.read(), whole) for each in again)
