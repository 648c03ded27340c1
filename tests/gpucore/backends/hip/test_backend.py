"""The HIP engine on the host's HIP: cards, launches, graphs, errors, loss; kernels really run."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from random import Random

import numpy as np
import pytest

from gpucore import Device, DeviceLostError, GpuError, KernelCompileError, OutOfMemoryError, f32
from gpucore.backends import TileMap
from gpucore.backends.hip import cards
from gpucore.backends.hip.compiler import HipCompiler
from gpucore.backends.hip.driver import HipDriver
from tests.gpucore.backends.hip.host_hip import (
    COMPILER,
    ILLEGAL_ADDRESS,
    HostCompiler,
    HostDriver,
    host_backend,
)
from tests.gpucore.kernels import AFFINE, INCREMENT
from tests.gpucore.test_random_programs import INPUTS, random_part

pytestmark = pytest.mark.skipif(COMPILER is None, reason="g++ is not installed")

LANES = """
@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> y: array<array<u32, 12>>;
var<workgroup> turned: array<u32, 104>;
@compute @workgroup_size(104) fn main(
    @builtin(local_invocation_index) i: u32,
    @builtin(subgroup_invocation_id) lane: u32,
    @builtin(subgroup_size) size: u32,
    @builtin(subgroup_id) group: u32,
) {
    let a = x[i];
    turned[i] = a;
    workgroupBarrier();
    let ballot = subgroupBallot(a % 3 == 0);
    y[i] = array<u32, 12>(
        lane, size, group, turned[103 - i], subgroupAdd(a), subgroupMax(a),
        subgroupExclusiveAdd(a), subgroupInclusiveMul(a | 1), ballot.x, ballot.y,
        subgroupShuffleXor(a, 1), subgroupBroadcastFirst(a),
    );
}
"""

HALVES = """
enable f16;
@group(0) @binding(0) var<storage, read> x: array<vec2h>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4h>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
    if (id.x >= arrayLength(&x)) { return; }
    let v = x[id.x];
    y[id.x] = vec4h(v.x + v.y, v.x - v.y, v.x * v.y, f16(f32(v.x)));
}
"""


@pytest.fixture(autouse=True, scope="module")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the user's cache as it is, and compile each kernel once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GPUCORE_HIP_CACHE", str(tmp_path_factory.mktemp("hip")))
        yield


@pytest.fixture
def library() -> HostDriver:
    return HostDriver("gfx1030")


@pytest.fixture
def card(library: HostDriver) -> Iterator[Device]:
    device = Device(host_backend(library))
    yield device
    device.close()


def test_what_the_card_tells(card: Device) -> None:
    assert repr(card) == "Device(Host (gfx1030), hip)"
    assert card.driver == "HIP 6.1"
    assert card.vendor == "AMD"
    assert card.memory_size == 1 << 33
    assert card.subgroup_size == (32, 32)
    assert not card.has_matrix_units
    assert card.limits["max_compute_workgroup_storage_size"] == 65536


def test_newer_drivers_have_another_function_for_properties() -> None:
    library = HostDriver("gfx90a")
    newer = HostDriver("gfx1100")
    library.hipGetDevicePropertiesR0600 = newer.hipGetDeviceProperties  # type: ignore[attr-defined]
    assert HipDriver(library).architecture(0) == "gfx1100:sramecc+:xnack-"


def test_a_launch_has_its_grid_block_and_parameters(card: Device, library: HostDriver) -> None:
    values = np.arange(100, dtype=np.float32)
    x, y = card.buffer_from_array(values), card.buffer(f32, 100)
    card.compile_kernel(AFFINE)(x, y, {"count": 100, "factor": 3, "shift": 0.5}, grid=(2, 1, 1))
    assert y.read().tolist() == (values * 3 + 0.5).tolist()
    (launch,) = library.launches
    assert (launch.grid, launch.block, launch.memory) == ((2, 1, 1), (64, 1, 1), 0)
    numbers = [int.from_bytes(each, "little") for each in launch.parameters[:4]]
    assert {numbers[0], numbers[2]} <= set(library.memory)
    assert numbers[1] == numbers[3] == 400, "bytes that are bound"
    assert launch.parameters[4] == np.array([100], "<u4").tobytes() + np.float32([3, 0.5]).tobytes()


def test_a_recording_becomes_one_graph(card: Device, library: HostDriver) -> None:
    x = card.buffer_from_array(np.zeros(64, np.float32))
    increment = card.compile_kernel(INCREMENT)
    with card.capture() as graph:
        for _ in range(6):
            increment(x, grid=1)
    for _ in range(3):
        graph.replay()
    assert x.read().tolist() == [18] * 64
    assert library.calls.count("hipGraphInstantiate") == 1
    assert library.calls.count("hipGraphLaunch") == 3
    graph.release()
    del graph
    gc.collect()
    card.synchronize()
    assert library.calls.count("hipGraphExecDestroy") == 1


def test_memory_goes_back(card: Device, library: HostDriver) -> None:
    x = card.buffer_from_array(np.arange(6, dtype=np.float32))
    y = card.buffer(f32, 6)
    y.copy_from(x)
    assert y.read().tolist() == [0, 1, 2, 3, 4, 5]
    del x, y
    gc.collect()
    card.trim()
    card.close()
    assert library.memory == {}
    assert "hipStreamDestroy" in library.calls


@pytest.mark.parametrize(("architecture", "size"), [("gfx1030", 32), ("gfx90a", 64)])
def test_subgroups_of_the_card(architecture: str, size: int) -> None:
    """104 invocations are whole subgroups and one with 8 or 40 lanes."""
    device = Device(host_backend(HostDriver(architecture)))
    a = np.random.default_rng(1).integers(0, 1000, 104).astype(np.uint32)
    y = device.buffer_from_array(np.zeros((104, 12), np.uint32))
    device.compile_kernel(LANES)(device.buffer_from_array(a), y, grid=1)
    found = y.read()
    device.close()
    expected = np.zeros_like(found)
    for i in range(104):
        first = i // size * size
        group = a[first : first + size]
        before = a[first : i + 1]
        ballot = sum(1 << k for k, value in enumerate(group) if value % 3 == 0)
        row = [i % size, size, i // size, a[103 - i], group.sum(), group.max()]
        row += [before[:-1].sum(), int(np.prod(before | 1, dtype=np.uint32))]
        row += [ballot % 2**32, ballot >> 32, a[i ^ 1], group[0]]
        expected[i] = row
    assert found.tolist() == expected.tolist()


def test_halves_are_rounded_as_numpy_rounds_them(card: Device) -> None:
    random = np.random.default_rng(2)
    x = np.ldexp(random.standard_normal((500, 2)), random.integers(-18, 14, (500, 2)))
    x = x.astype(np.float16)
    y = card.buffer_from_array(np.zeros((500, 4), np.float16))
    card.compile_kernel(HALVES)(card.buffer_from_array(x), y, grid=8)
    a, b = x[:, 0], x[:, 1]
    with np.errstate(over="ignore"):
        expected = np.stack([a + b, a - b, a * b, a], 1)
    assert np.array_equal(y.read(), expected)


def test_random_integers(card: Device) -> None:
    random = Random(5)
    parts = [random_part(random, 3, bool(random.getrandbits(1))) for _ in range(40)]
    n = len(INPUTS)
    lines = "\n".join(f"y[at + {k}u] = u32({part.text});" for k, part in enumerate(parts))
    source = f"""
@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;
@compute @workgroup_size(1) fn main(@builtin(workgroup_id) id: vec3u) {{
    let a = x[id.x]; let b = x[id.y]; let i = i32(a); let j = i32(b); let zero = id.z;
    let at = (id.x * {n}u + id.y) * 40u;
    {lines}
}}
"""
    y = card.buffer_from_array(np.zeros((n, n, 40), np.uint32))
    card.compile_kernel(source)(card.buffer_from_array(INPUTS), y, grid=(n, n, 1))
    expected = [[[p.value((int(a), int(b))) for p in parts] for b in INPUTS] for a in INPUTS]
    assert np.array_equal(y.read(), np.array(expected, np.uint32))


def test_what_is_under_way_is_waited_for(card: Device, library: HostDriver) -> None:
    x = card.buffer_from_array(np.zeros(64, np.float32))
    card.compile_kernel(INCREMENT)(x, grid=1)
    library.busy = True
    card.submit()
    fence = card.engine.fence()
    assert not fence.done
    library.busy = False
    assert fence.done


def test_times_are_those_of_events(card: Device) -> None:
    x = card.buffer_from_array(np.zeros(64, np.float32))
    increment = card.compile_kernel(INCREMENT)
    with card.profile() as profile:
        increment(x, grid=1)
    assert profile.records[0].duration_ns == 500_000


def test_out_of_memory(card: Device, library: HostDriver) -> None:
    library.failing["hipMallocAsync"] = 2
    with pytest.raises(OutOfMemoryError, match="no room for a buffer"):
        card.buffer(f32, 1000)
    del library.failing["hipMallocAsync"]
    assert card.buffer(f32, 1000).size == 1000


def test_an_illegal_address_is_a_loss(card: Device, library: HostDriver) -> None:
    x = card.buffer_from_array(np.zeros(64, np.float32))
    library.failing |= dict.fromkeys(("hipEventQuery", "hipStreamSynchronize"), ILLEGAL_ADDRESS)
    with pytest.raises(DeviceLostError, match=r"hipEventQuery: error of the host \(700\)"):
        x.read()
    card.close()
    assert "hipDeviceReset" in library.calls


def test_compile_errors(library: HostDriver) -> None:
    hiprtc = HostCompiler()
    hiprtc.log = b"no such thing"
    card = Device(host_backend(library, hiprtc))
    with pytest.raises(KernelCompileError, match=r"HIP does not compile this kernel: .* no such"):
        card.compile_kernel(INCREMENT.replace("+ 1.0", "+ 7.0"))
    card.close()


def test_there_are_no_tile_maps(card: Device, library: HostDriver) -> None:
    with pytest.raises(GpuError, match="HIP has no tile maps"):
        HipDriver(library).tile_map(0, TileMap((64, 8), (128,), (64, 4)))


def test_cards_that_hiprtc_does_not_know_are_left_out(
    library: HostDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = HipCompiler(HostCompiler(), frozenset(("gfx1030",)))
    monkeypatch.setattr(cards, "load_driver", lambda: HipDriver(library))
    monkeypatch.setattr(cards, "load_compiler", lambda: known)
    assert [info.name for info in cards.adapters()] == ["Host (gfx1030)"]
    device = Device(cards.open_adapter(cards.adapters()[0]))
    assert device.backend == "hip"
    device.close()
    library.architecture = "gfx1201"
    assert cards.adapters() == []
    monkeypatch.setattr(cards, "load_compiler", lambda: None)
    assert cards.adapters() == []


def test_the_cache_is_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPUCORE_HIP_CACHE", str(tmp_path))
    hiprtc = HostCompiler()
    for architecture in ("gfx1030", "gfx90a", "gfx1030"):
        device = Device(host_backend(HostDriver(architecture), hiprtc))
        device.compile_kernel(INCREMENT)
        device.close()
    assert len(hiprtc.texts) == len(list(tmp_path.iterdir())) == 2
