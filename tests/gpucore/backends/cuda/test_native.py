"""Native kernels: their launches on a fake driver, their tiles of buffers, and who refuses them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gpucore import ArgumentError, Device, FeatureError, f16, f32
from gpucore.backends import NativeCode, TileMap
from gpucore.memory.host import HostArray
from gpucore.tiled import Tiled
from tests.gpucore.backends.cuda.fake_cuda import FakeDriverLibrary, fake_backend

DECLARED = """
enable f16;
struct Params { n: u32, m: u32 }
@group(0) @binding(0) var<storage, read> x: array<f16>;
@group(0) @binding(1) var<storage, read_write> y: array<f16>;
@group(0) @binding(2) var<uniform> params: Params;
@compute @workgroup_size(128) fn main() { _ = &x; _ = &y; _ = params.n; }
"""
CODE = NativeCode("native text", threads=128, memory=50000, cluster=2)
TILES = TileMap((64, 8), (128,), (64, 4))


@pytest.fixture
def library() -> FakeDriverLibrary:
    return FakeDriverLibrary()


@pytest.fixture
def card(
    library: FakeDriverLibrary, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Device]:
    monkeypatch.setenv("GPUCORE_CUDA_CACHE", str(tmp_path))
    device = Device.from_backend(fake_backend(library))
    yield device
    device.close()


def test_a_launch_has_maps_addresses_and_attributes(
    card: Device, library: FakeDriverLibrary
) -> None:
    kernel = card.compile_kernel(DECLARED, native=CODE)
    x, y = card.buffer(f16, (8, 64)), card.buffer(f16, (8, 64))
    kernel(Tiled(x, TILES), y, {"n": 3, "m": 4}, grid=(2, 5, 1))
    card.synchronize()
    (launch,) = library.launches
    assert launch.grid == (2, 5, 1)
    assert launch.block == (128, 1, 1)
    assert launch.memory == CODE.memory
    assert launch.attributes == {4: (2, 1, 1), 6: (1, 0, 0)}, "a cluster that may begin early"
    (tensor,) = library.maps
    assert tensor.address == address_of(library, x)
    assert (tensor.extents, tensor.strides, tensor.box) == ((64, 8), (128,), (64, 4))
    assert launch.parameters[1:] == (address_of(library, y), y.nbytes, 3 | 4 << 32)


def test_a_launch_that_a_copy_from_the_host_is_for_begins_when_it_is_done(
    card: Device, library: FakeDriverLibrary
) -> None:
    """It must not begin early: what it loads ahead of its wait is what was copied."""
    kernel, y = card.compile_kernel(DECLARED, native=CODE), card.buffer(f16, (8, 64))
    kept = [HostArray(card, card.buffer(f16, (8, 64))) for _ in range(3)]
    with card.capture() as graph:
        for each in kept:
            weight = each.upload()
            kernel(weight, y, {"n": 0, "m": 0}, grid=2)
            kernel(weight, y, {"n": 1, "m": 0}, grid=2)
    graph.replay()
    card.synchronize()
    assert [6 in launch.attributes for launch in library.launches] == [False, True] * 3
    assert all(launch.attributes[4] == (2, 1, 1) for launch in library.launches)


def address_of(library: FakeDriverLibrary, buffer: object) -> int:
    """Return where a buffer lies."""
    address: int = buffer.storage.handle.address  # type: ignore[attr-defined]
    assert address in library.memory
    return address


def test_a_map_of_windows(card: Device, library: FakeDriverLibrary) -> None:
    kernel = card.compile_kernel(DECLARED, native=CODE)
    x, y = card.buffer(f16, (2, 8, 6, 64)), card.buffer(f16, 8)
    strides = 128, 768, 6144
    corners = -1, -1, -2, -2
    tiles = TileMap((64, 6, 8, 2), strides, (64, 128), corners=corners, step=2)
    kernel(Tiled(x, tiles), y, {"n": 0, "m": 0}, grid=1)
    card.synchronize()
    (tensor,) = library.maps
    assert tensor.corners == corners
    assert tensor.box == (64, 128)
    assert tensor.steps == (1, 2, 2, 1)


def test_tiles_must_lie_in_their_buffer(card: Device) -> None:
    kernel = card.compile_kernel(DECLARED, native=CODE)
    y = card.buffer(f16, (8, 64))
    assert TILES.end == y.nbytes
    late = TileMap((64, 8), (128,), (64, 4), offset=16)
    for wrong in (Tiled(card.buffer(f16, (7, 64)), TILES), Tiled(card.buffer(f16, (8, 64)), late)):
        with pytest.raises(ArgumentError, match="tiles must lie in a buffer of 2-byte numbers"):
            kernel(wrong, y, {"n": 0, "m": 0}, grid=1)
    with pytest.raises(ArgumentError, match="2-byte numbers"):
        kernel(Tiled(card.buffer(f32, (8, 64)), TILES), y, {"n": 0, "m": 0}, grid=1)


def test_wgsl_takes_no_tiles(card: Device) -> None:
    kernel = card.compile_kernel(DECLARED)
    x, y = card.buffer(f16, (8, 64)), card.buffer(f16, 8)
    with pytest.raises(ArgumentError, match="give WGSL the buffer itself"):
        kernel(Tiled(x, TILES), y, {"n": 0, "m": 0}, grid=1)


def test_other_engines_refuse_native_code() -> None:
    device = Device.null()
    with pytest.raises(FeatureError, match="needs cuda-kernels"):
        device.compile_kernel(DECLARED, native=CODE)
    device.close()


def test_features_of_generations(
    library: FakeDriverLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    for major, has in ((7, set()), (8, {"ampere"}), (9, {"wgmma"}), (10, set())):
        monkeypatch.setitem(library.attributes, 75, major)
        device = Device.from_backend(fake_backend(library))
        assert device.features & {"ampere", "wgmma"} == has
        device.close()


def test_a_map_lies_where_the_driver_wants_it(card: Device, library: FakeDriverLibrary) -> None:
    """CUtensorMap must lie at a multiple of 64 bytes."""
    kernel = card.compile_kernel(DECLARED, native=CODE)
    for n in range(1, 9):
        x = card.buffer(f16, (8 * n, 64))
        kernel(Tiled(x, TILES), card.buffer(f16, 8), {"n": 0, "m": 0}, grid=1)
    card.synchronize()
    assert len(library.maps) == 8
    assert all(tensor.at % 64 == 0 for tensor in library.maps)
