"""A lost device: every call says so and what to do, and a new device works."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import numpy as np
import pytest

from gpucore import Device, DeviceLostError, f32
from gpucore.backends.compilers import Compilers
from tests.gpucore.kernels import AFFINE, HASH, INCREMENT
from tests.gpucore.losing import lose


@pytest.fixture
def own_device(device: Device) -> Iterator[Device]:
    """Open a device that the test will lose."""
    own = Device.open(device.info)
    yield own
    own.close()


def destroy(device: Device) -> None:
    """Destroy the engine's device, as a driver that resets does."""
    lose(device)


def assert_lost(device: Device, call: Callable[[], object]) -> None:
    with pytest.raises(DeviceLostError) as caught:
        call()
    message = str(caught.value)
    assert message.startswith(f"{device.name} ({device.backend}), "), message
    assert "the device was lost (" in message or "the device was closed" in message
    assert "device.reopen()" in message
    assert "upload the data again" in message


def test_every_call_after_it_tells(own_device: Device) -> None:
    x = own_device.buffer_from_array(np.arange(8, dtype=np.float32))
    increment = own_device.compile_kernel(INCREMENT)
    with own_device.capture() as graph:
        increment(x, grid=1)
    graph.replay()
    assert x.read().tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    event = own_device.new_event()
    destroy(own_device)

    def launch() -> None:
        increment(x, grid=1)
        own_device.stream.submit()

    calls: list[Callable[[], object]] = [
        x.read,
        lambda: x.read_slice(1, 2),
        lambda: x.write(np.zeros(8, np.float32)),
        lambda: own_device.buffer(f32, 100_000),
        launch,
        graph.replay,
        lambda: own_device.compile_kernel(AFFINE),
        own_device.synchronize,
        event.record,
        lambda: asyncio.run(x.read_async()),
        lambda: asyncio.run(own_device.synchronize_async()),
    ]
    for call in calls:
        assert_lost(own_device, call)
        assert_lost(own_device, call)


def test_what_is_pending_ends(own_device: Device) -> None:
    """No wait for work under way hangs when the device is lost."""
    x = own_device.buffer_from_array(np.arange(8, dtype=np.float32))
    busy = own_device.buffer_from_array(np.zeros(4096, np.uint32))
    own_device.compile_kernel(HASH)(busy, {"rounds": 20000}, grid=64)
    event = own_device.new_event().record()

    async def lose() -> None:
        reading = asyncio.ensure_future(x.read_async())
        await asyncio.sleep(0)
        destroy(own_device)
        await reading

    assert_lost(own_device, lambda: asyncio.run(lose()))
    assert_lost(own_device, event.wait)
    assert event.is_complete, "nothing more comes of it"


def test_a_compile_that_begins_after_the_loss_ends(own_device: Device) -> None:
    """It reports the loss and never hangs."""
    gone = threading.Event()
    if own_device.info.api != "gl":  # which compiles at once
        own_device.engine.compilers = Compilers(1)
        own_device.engine.compilers.submit(gone.wait)
    kernel = own_device.compile_kernel(HASH.replace("15u", "13u"), wait=False)
    destroy(own_device)
    gone.set()
    with suppress(DeviceLostError):
        kernel.wait()
    assert_lost(own_device, lambda: own_device.compile_kernel(AFFINE, wait=False).wait())


DESTROY_WHILE_COMPILING = """
import sys, time
from gpucore import Device, DeviceLostError
from tests.gpucore.kernels import HASH
from tests.gpucore.losing import lose

device = Device.by_name(sys.argv[1])
sources = [HASH.replace("15u", f"{i % 30 + 1}u").replace("2246822519u", f"{i}u") for i in range(40)]
kernels = [device.compile_kernel(source, wait=False) for source in sources]
time.sleep(float(sys.argv[2]))
lose(device)
for kernel in kernels:
    try:
        kernel.wait()
    except DeviceLostError as error:
        lost = error
assert "lost" in str(lost)
device.close()
"""


@pytest.mark.parametrize("seconds", ["0", "0.02", "0.05"])
def test_a_device_is_destroyed_while_kernels_compile(device: Device, seconds: str) -> None:
    """Dawn ended the process where its device went during a compile of another thread."""
    command = [sys.executable, "-c", DESTROY_WHILE_COMPILING, device.info.backend, seconds]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def test_closing_waits_for_a_compile_in_another_thread(own_device: Device) -> None:
    """A thread that waits for a kernel may build it itself."""
    begun, let_go = threading.Event(), threading.Event()
    compilers = own_device.engine.compilers = Compilers(0)

    def build() -> None:
        begun.set()
        let_go.wait(10)

    building = threading.Thread(target=lambda: compilers.submit(build))
    building.start()
    assert begun.wait(10)
    closing = threading.Thread(target=own_device.close)
    closing.start()
    closing.join(0.1)
    assert closing.is_alive()
    let_go.set()
    closing.join(10)
    assert not closing.is_alive()
    building.join(10)


def test_a_new_device_works(own_device: Device) -> None:
    destroy(own_device)
    again = own_device.reopen()
    assert (again.info, again.checks) == (own_device.info, own_device.checks)
    x = again.buffer_from_array(np.arange(4, dtype=np.float32))
    again.compile_kernel(INCREMENT)(x, grid=1)
    assert x.read().tolist() == [1, 2, 3, 4]
    again.close()


def test_closed_devices_tell_that_they_are(device: Device) -> None:
    own = Device.open(device.info)
    x = own.buffer_from_array(np.arange(4, dtype=np.float32))
    increment = own.compile_kernel(INCREMENT)
    own.close()
    with pytest.raises(DeviceLostError, match="the device was closed"):
        x.read()

    def launch() -> None:
        increment(x, grid=1)
        own.stream.submit()

    for call in (x.read, launch, own.synchronize, lambda: own.compile_kernel(AFFINE)):
        assert_lost(own, call)
    own.close()


def test_a_compile_that_was_not_begun_ends_with_the_device(own_device: Device) -> None:
    if own_device.info.api == "gl":
        pytest.skip("compiles at once")
    own_device.engine.compilers = Compilers(1)
    own_device.engine.compilers.submit(lambda: time.sleep(0.2))
    kernel = own_device.compile_kernel(INCREMENT, wait=False)
    own_device.close()
    assert_lost(own_device, kernel.wait)
