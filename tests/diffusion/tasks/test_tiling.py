"""Tiles: they cover everything, mix without seams, and bound the memory of large pictures."""

from __future__ import annotations

import itertools
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from diffusion.errors import SettingsError
from diffusion.pipeline import vae
from diffusion.pipeline.vae import decode, moments
from diffusion.tasks.tiling import TILE, TileSpan, compute_in_tiles, needs_tiles, tile_spans
from gpucore import Device
from gpustd.matmul.conv import Wrap
from tests.diffusion.golden_models import networks


@given(st.integers(1, 2000), st.integers(1, 128))
def test_spans_cover_a_ring(extent: int, tile: int) -> None:
    found = tile_spans(extent, tile, ring=True)
    assert found[0].start == 0
    starts = [each.start for each in found] + [extent]
    assert all(each.extent == min(tile, extent) for each in found)
    if extent > tile:
        for each, after in zip(found, starts[1:], strict=True):
            assert each.start + each.extent - after >= each.overlap
            assert each.before
            assert each.after
    for each in found:
        indices = each.indices(3)
        assert len(set(indices)) == 3 * each.extent
        assert indices.min() >= 0
        assert indices.max() < 3 * extent


@given(st.integers(1, 2000), st.integers(1, 128))
def test_spans_cover_all(extent: int, tile: int) -> None:
    found = tile_spans(extent, tile)
    assert found[0].start == 0
    assert found[-1].start + found[-1].extent == extent
    for one, next_one in itertools.pairwise(found):
        assert one.start + one.extent - next_one.start >= one.overlap
    assert all(each.extent == min(tile, extent) for each in found)
    assert all((each.weights(2) > 0).all() for each in found)


@pytest.mark.parametrize("wrap", get_args(Wrap))
@pytest.mark.parametrize("factor", [1, 8])
def test_an_array_that_does_not_depend_on_its_tiles_is_unchanged(factor: int, wrap: Wrap) -> None:
    size = (TILE + 31, 2 * TILE + 5)
    whole = np.random.default_rng(1).normal(size=(size[0] * factor, size[1] * factor, 2))

    def compute(rows: TileSpan, columns: TileSpan) -> NDArray[np.float32]:
        part = whole[np.ix_(rows.indices(factor), columns.indices(factor))]
        return part.astype(np.float32)

    found = compute_in_tiles(compute, size, factor, wrap=wrap)
    np.testing.assert_allclose(found, whole, rtol=1e-5, atol=1e-6)


def test_when_tiles_are_needed() -> None:
    assert [needs_tiles("auto", n) for n in (1024 * 1024, 1024 * 1024 + 64)] == [False, True]
    assert [needs_tiles("auto", n, 64) for n in (64, 65)] == [False, True]
    assert needs_tiles("On", 64)
    assert not needs_tiles("off", 10**9)
    with pytest.raises(SettingsError, match="vae tiling"):
        needs_tiles("maybe", 64)


def test_tiles_of_a_network(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiles of 12 latents with 3 in common give nearly the same: group norms see one tile only."""
    monkeypatch.setattr(vae, "TILE", 12)
    made = networks(device, "three_levels")
    noise = np.random.default_rng(2).normal(size=(1, 20, 28, 4)).astype(np.float32)
    latents = device.buffer_from_array(noise * made.folder.vae.scaling_factor)
    whole, parts = (
        np.asarray(next(decode(made, latents, how)).image).astype(np.float64)
        for how in ("off", "on")
    )
    assert whole.shape == parts.shape == (40, 56, 3)
    assert np.corrcoef(whole.ravel(), parts.ravel())[0, 1] > 0.95
    pixels = np.random.default_rng(3).uniform(-1, 1, (1, 40, 56, 3)).astype(np.float32)
    one, several = (moments(made, pixels, how) for how in ("off", "on"))
    assert one.shape == several.shape == (20, 28, 8)
    assert np.corrcoef(one.ravel(), several.ravel())[0, 1] > 0.95
    one = moments(made, pixels[:, :24, :24], "on")
    np.testing.assert_array_equal(one, moments(made, pixels[:, :24, :24], "off"))


def test_memory_does_not_grow_with_the_picture() -> None:
    """Live bytes while decoding: 2048² in tiles take at most 1.5 times those of 1024² whole."""
    peaks = []
    for side in (128, 256):
        device = Device.null()
        made = networks(device, "two_levels")
        latents = device.buffer_from_array(np.zeros((1, side, side, 4), np.float32))
        before = device.memory.live
        list(decode(made, latents))
        peaks.append(device.memory.peak - before)
    assert peaks[1] <= 1.5 * peaks[0]


@pytest.mark.parametrize("how", ["off", "on"])
def test_a_decoding_begins_its_reads(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All reads begin while the device decodes, so that the host waits once."""
    device = Device.null()
    made = networks(device, "two_levels")
    latents = device.buffer_from_array(np.zeros((2, 4, 4, 4), np.float32))
    calls: list[str] = []

    def listen(name: str) -> None:
        call = getattr(device.engine, name)
        monkeypatch.setattr(device.engine, name, lambda *args: (calls.append(name), call(*args))[1])

    listen("read")
    listen("submit")
    device.stream.send = device.engine.submit
    begun = decode(made, latents, how)
    if how == "off":
        assert calls[-3:] == ["submit", "read", "read"]
        calls.clear()
        next(begun)
        assert calls == []
    next(begun)
    assert calls[-3:] == ["submit", "read", "read"]


def test_a_device_of_small_buffers_takes_small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Feature maps of 40 channels in f32 at full size: 9 MiB hold 242² pixels."""
    device = Device.null()
    made = networks(device, "three_levels")
    limits = dict(device.limits) | {"max_storage_buffer_binding_size": 9 << 20}
    monkeypatch.setattr(type(device), "limits", limits)
    assert vae.most_pixels(made) == (9 << 20) // 160
    monkeypatch.setattr(type(device), "limits", limits | {"max_buffer_size": 160 * 80 * 80})
    assert vae.tile_side(made) == 40
