"""A lost device: every call says so and what to do, and a new one works."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import numpy as np
import pytest

from gpucore import Device, DeviceLostError, f32
from gpucore.backends.webgpu.compilers import Compilers
from tests.gpucore.kernels import AFFINE, HASH, INCREMENT


@pytest.fixture
def doomed(device: Device) -> Iterator[Device]:
    """A device of its own, to be lost."""
    own = Device.open(device.info)
    yield own
    own.close()


def destroy(device: Device) -> None:
    """End the engine's device below, as a driver that resets does."""
    device.engine._device.destroy()


def assert_lost(device: Device, call: Callable[[], object]) -> None:
    with pytest.raises(DeviceLostError) as caught:
        call()
    message = str(caught.value)
    assert message.startswith(f"{device.name} ({device.backend}), "), message
    assert "the device was lost (" in message or "the device was closed" in message
    assert "device.reopen()" in message
    assert "upload the data again" in message


def test_every_call_after_it_tells(doomed: Device) -> None:
    x = doomed.buffer_from_array(np.arange(8, dtype=np.float32))
    increment = doomed.compile_kernel(INCREMENT)
    with doomed.capture() as graph:
        increment(x, grid=1)
    graph.replay()
    assert x.read().tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    event = doomed.new_event()
    destroy(doomed)

    def launch() -> None:
        increment(x, grid=1)
        doomed.stream.submit()

    calls: list[Callable[[], object]] = [
        x.read,
        lambda: x.read_slice(1, 2),
        lambda: x.write(np.zeros(8, np.float32)),
        lambda: doomed.buffer(f32, 100_000),
        launch,
        graph.replay,
        lambda: doomed.compile_kernel(AFFINE),
        doomed.synchronize,
        event.record,
        lambda: asyncio.run(x.read_async()),
        lambda: asyncio.run(doomed.synchronize_async()),
    ]
    for call in calls:
        assert_lost(doomed, call)
        assert_lost(doomed, call)


def test_what_is_pending_ends(doomed: Device) -> None:
    """Work under way when the device goes: no wait hangs."""
    x = doomed.buffer_from_array(np.arange(8, dtype=np.float32))
    busy = doomed.buffer_from_array(np.zeros(4096, np.uint32))
    doomed.compile_kernel(HASH)(busy, {"rounds": 20000}, grid=64)
    event = doomed.new_event().record()

    async def lose() -> None:
        reading = asyncio.ensure_future(x.read_async())
        await asyncio.sleep(0)
        destroy(doomed)
        await reading

    assert_lost(doomed, lambda: asyncio.run(lose()))
    assert_lost(doomed, event.wait)
    assert event.is_complete, "nothing more comes of it"


def test_a_compile_that_begins_after_the_loss_ends(doomed: Device) -> None:
    """It tells of the loss; it never hangs. What has begun `Device.close` waits for instead.

    Destroyed during a compile of another thread, Dawn's device crashes now and then.
    """
    gone = threading.Event()
    if doomed.info.api != "gl":  # which compiles at once
        doomed.engine.compilers = Compilers(1)
        doomed.engine.compilers.submit(gone.wait)
    kernel = doomed.compile_kernel(HASH.replace("15u", "13u"), wait=False)
    destroy(doomed)
    gone.set()
    with suppress(DeviceLostError):
        kernel.wait()
    assert_lost(doomed, lambda: doomed.compile_kernel(AFFINE, wait=False).wait())


def test_a_new_device_works(doomed: Device) -> None:
    destroy(doomed)
    again = doomed.reopen()
    assert (again.info, again.checks) == (doomed.info, doomed.checks)
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


def test_a_compile_that_was_not_begun_ends_with_the_device(doomed: Device) -> None:
    if doomed.info.api == "gl":
        pytest.skip("compiles at once")
    doomed.engine.compilers = Compilers(1)
    doomed.engine.compilers.submit(lambda: time.sleep(0.2))
    kernel = doomed.compile_kernel(INCREMENT, wait=False)
    doomed.close()
    assert_lost(doomed, kernel.wait)
