"""The CUDA engine on a fake driver: memory, launches, graphs, times, errors, the loss of a card."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from gpucore import (
    Device,
    DeviceLostError,
    DeviceNotFoundError,
    GpuError,
    KernelCompileError,
    OutOfMemoryError,
    f32,
)
from gpucore.backends.cuda import cards
from gpucore.backends.cuda.compiler import CudaCompiler
from gpucore.backends.cuda.driver import CudaDriver
from gpucore.backends.drivers.errors import DriverError
from gpucore.backends.drivers.pending import Origin
from tests.gpucore.backends.cuda.fake_cuda import (
    ILLEGAL_ADDRESS,
    FakeCompilerLibrary,
    FakeDriverLibrary,
    fake_backend,
)
from tests.gpucore.kernels import AFFINE, INCREMENT
from tests.gpucore.losing import lose

UNIFORM = {"count": 4, "factor": 2, "shift": 0}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the user's cache as it is."""
    monkeypatch.setenv("GPUCORE_CUDA_CACHE", str(tmp_path))


@pytest.fixture
def library() -> FakeDriverLibrary:
    return FakeDriverLibrary()


@pytest.fixture
def card(library: FakeDriverLibrary) -> Iterator[Device]:
    device = Device(fake_backend(library))
    yield device
    device.close()


def test_what_the_card_tells(card: Device) -> None:
    assert repr(card) == "Device(fake card, cuda)"
    assert card.info.kind == "discrete"
    assert card.driver == "CUDA 13.0"
    assert card.memory_size == 1 << 34
    assert card.has_matrix_units
    assert card.limits["max_compute_workgroup_storage_size"] == 232448


def test_an_old_card_has_no_matrix_units(library: FakeDriverLibrary) -> None:
    library.attributes[75], library.attributes[76] = 7, 5
    info = cards.describe(CudaDriver(library), 0)
    assert "matrix-units" not in info.features
    assert info.matrix_shapes == ()


def test_memory_goes_both_ways_and_back(card: Device, library: FakeDriverLibrary) -> None:
    x = card.buffer_from_array(np.arange(6, dtype=np.float32))
    y = card.buffer(f32, 6)
    y.copy_from(x)
    assert y.read().tolist() == [0, 1, 2, 3, 4, 5]
    assert y.read_slice(2, 4).tolist() == [2, 3]
    assert card.staging.made == 1
    assert card.staging.reused == 1
    frozen = np.arange(6, dtype=np.float32)
    frozen.flags.writeable = False
    x.write(frozen[::-1].copy())
    x.write(frozen)
    assert x.read().tolist() == frozen.tolist()
    del x, y
    gc.collect()
    card.trim()
    card.close()
    assert library.memory == {}


def test_a_launch_has_its_grid_block_and_parameters(
    card: Device, library: FakeDriverLibrary
) -> None:
    x, y = card.buffer_from_array(np.ones(4, np.float32)), card.buffer(f32, 4)
    kernel = card.compile_kernel(AFFINE)
    kernel(x, y, UNIFORM, grid=(3, 2, 1))
    card.synchronize()
    (launch,) = library.launches
    assert (launch.grid, launch.block, launch.memory) == ((3, 2, 1), (64, 1, 1), 0)
    assert launch.parameters[0] in library.memory
    assert launch.parameters[2] in library.memory
    assert (launch.parameters[1], launch.parameters[3]) == (16, 16), "bytes that are bound"
    packed = np.array([4, 2, 0], np.uint32).tobytes()[:4]
    assert int(launch.parameters[4]).to_bytes(8, "little")[:4] == packed, "the uniform by value"


def test_a_recording_becomes_one_graph(card: Device, library: FakeDriverLibrary) -> None:
    x = card.buffer_from_array(np.zeros(64, np.float32))
    increment = card.compile_kernel(INCREMENT)
    with card.capture() as graph:
        for _ in range(6):
            increment(x, grid=1)
    for _ in range(3):
        graph.replay()
    card.synchronize()
    assert len(library.launches) == 18
    assert library.calls.count("cuGraphInstantiateWithFlags") == 1
    assert library.calls.count("cuGraphLaunch") == 3
    graph.release()
    del graph
    gc.collect()
    card.synchronize()
    assert library.calls.count("cuGraphExecDestroy") == 1


def test_times_are_those_of_events(card: Device) -> None:
    x = card.buffer_from_array(np.zeros(64, np.float32))
    increment = card.compile_kernel(INCREMENT)
    with card.profile() as profile:
        increment(x, grid=1)
        increment(x, grid=1)
    first, second = profile.records
    assert first.duration_ns == second.duration_ns == 500_000


def test_times_count_over_several_origins(library: FakeDriverLibrary) -> None:
    driver = CudaDriver(library)
    first = Origin(driver, 10)
    second = Origin(driver, 30, first)
    third = Origin(driver, 70, second)
    assert (third.at(80), second.at(32), first.at(12)) == (35.0, 11.0, 1.0)


def test_what_is_under_way_is_waited_for(card: Device, library: FakeDriverLibrary) -> None:
    x = card.buffer_from_array(np.zeros(64, np.float32))
    card.compile_kernel(INCREMENT)(x, grid=1)
    library.busy = True
    card.submit()
    fence = card.engine.fence()
    assert not fence.done
    assert card.engine.under_way == 1
    library.busy = False
    assert fence.done
    assert card.engine.under_way == 0


def test_out_of_memory(card: Device, library: FakeDriverLibrary) -> None:
    library.failing["cuMemAllocAsync"] = 2
    with pytest.raises(OutOfMemoryError, match="no room for a buffer"):
        card.buffer(f32, 1000)
    del library.failing["cuMemAllocAsync"]
    assert card.buffer(f32, 1000).size == 1000


def test_a_fault_that_is_no_loss(card: Device, library: FakeDriverLibrary) -> None:
    library.failing["cuStreamEndCapture"] = 901
    x = card.buffer_from_array(np.zeros(64, np.float32))
    increment = card.compile_kernel(INCREMENT)
    with card.capture() as graph:
        for _ in range(6):
            increment(x, grid=1)
    with pytest.raises(
        GpuError, match=r"submitting commands: cuStreamEndCapture: fake error \(901\)"
    ):
        graph.replay()
    assert x.read().tolist() == [0] * 64


def test_an_illegal_address_is_a_loss(card: Device, library: FakeDriverLibrary) -> None:
    x = card.buffer_from_array(np.zeros(64, np.float32))
    increment = card.compile_kernel(INCREMENT)
    library.failing["cuEventQuery"] = ILLEGAL_ADDRESS
    for call in (x.read, card.synchronize, lambda: increment(x, grid=1) or card.submit()):
        with pytest.raises(DeviceLostError, match="the device was lost") as caught:
            call()
        assert "device.reopen()" in str(caught.value)
    library.failing["cuStreamSynchronize"] = ILLEGAL_ADDRESS
    card.close()
    assert "cuDevicePrimaryCtxReset_v2" in library.calls


def test_a_context_that_others_can_use_is_not_reset(
    card: Device, library: FakeDriverLibrary
) -> None:
    other = Device(fake_backend(library))
    x = card.buffer_from_array(np.zeros(64, np.float32))
    lose(card)
    with pytest.raises(DeviceLostError):
        x.read()
    card.close()
    assert "cuDevicePrimaryCtxReset_v2" not in library.calls
    assert "cuStreamDestroy_v2" in library.calls
    other.close()
    assert library.memory == {}


def test_compile_errors(library: FakeDriverLibrary) -> None:
    nvrtc = FakeCompilerLibrary()
    card = Device(fake_backend(library, nvrtc))
    with pytest.raises(KernelCompileError, match=r"WGSL does not compile: '\+' does not combine"):
        card.compile_kernel(INCREMENT.replace("+ 1.0", "+ true"))
    nvrtc.fails = True
    with pytest.raises(KernelCompileError, match=r"CUDA does not compile this kernel: .* bad"):
        card.compile_kernel(INCREMENT)
    nvrtc.fails = False
    library.failing["cuModuleLoadData"] = 218
    with pytest.raises(KernelCompileError, match="cuModuleLoadData: fake error"):
        card.compile_kernel(INCREMENT)
    card.close()


def test_checks_are_printed_where_the_device_has_them(library: FakeDriverLibrary) -> None:
    texts = []
    for checks in (True, False):
        nvrtc = FakeCompilerLibrary()
        card = Device(fake_backend(library, nvrtc, checks=checks), checks=checks)
        card.compile_kernel(INCREMENT)
        texts += nvrtc.texts
        card.close()
    assert ["w_value" in text for text in texts] == [True, False]


def test_cards_that_nvrtc_does_not_know_are_left_out(
    library: FakeDriverLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cards, "load_driver", lambda: CudaDriver(library))
    monkeypatch.setattr(cards, "load_compiler", lambda: CudaCompiler(FakeCompilerLibrary()))
    assert [info.name for info in cards.adapters()] == ["fake card"]
    library.attributes[75] = 7
    assert cards.adapters() == []
    monkeypatch.setattr(cards, "load_compiler", lambda: None)
    assert cards.adapters() == []


def test_a_driver_too_old_for_nvrtc_shows_no_card(
    library: FakeDriverLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cards, "load_driver", lambda: CudaDriver(library))
    monkeypatch.setattr(cards, "load_compiler", lambda: CudaCompiler(FakeCompilerLibrary()))
    library.version = 12080
    assert cards.adapters() == []
    with pytest.raises(DeviceNotFoundError, match=r"CUDA 13 or newer, got CUDA 12\.8: update"):
        cards.find_adapters()


def test_a_card_that_does_not_open_says_so(
    library: FakeDriverLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cards, "load_driver", lambda: CudaDriver(library))
    monkeypatch.setattr(cards, "load_compiler", lambda: CudaCompiler(FakeCompilerLibrary()))
    (info,) = cards.adapters()
    library.failing["cuDevicePrimaryCtxRetain"] = 46
    with pytest.raises(DeviceNotFoundError, match=r"cannot be opened: cuDevicePrimaryCtxRetain"):
        cards.open_adapter(info)
    library.failing["cuDeviceGetCount"] = 3
    assert cards.adapters() == []


def test_errors_name_function_code_and_words() -> None:
    error = DriverError("cuInit", 2, "out of memory")
    assert str(error) == "cuInit: out of memory (2)"
    assert error.is_out_of_memory
    assert not error.is_loss
    assert DriverError("cuEventQuery", 719, "launch failure").is_loss


def test_nothing_of_cuda_is_imported_before_adapters_are_asked_for() -> None:
    program = (
        "import sys, gpucore; gpucore.Device.null();"
        "assert not [name for name in sys.modules if name.startswith('gpucore.backends.cuda')]"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
