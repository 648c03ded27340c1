"""Waits are awaited on asyncio and trio: other tasks run, and cancelling harms nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest
import trio

from gpucore import Buffer, Device, Devices, KernelCompileError, ShapeError, u32
from tests.gpucore.kernels import HASH, INCREMENT

Run = Callable[[Callable[[], Awaitable[Any]]], Any]


def on_asyncio(main: Callable[[], Awaitable[Any]]) -> Any:
    async def whole() -> Any:
        return await main()

    return asyncio.run(whole())


@pytest.fixture(params=[on_asyncio, trio.run], ids=["asyncio", "trio"])
def run(request: pytest.FixtureRequest) -> Run:
    """Return a function that runs a coroutine function to its end."""
    chosen: Run = request.param
    return chosen


def sleep_of(run: Run) -> Callable[[float], Awaitable[None]]:
    return trio.sleep if run is trio.run else asyncio.sleep


def busy(device: Device, rounds: int = 30000) -> Buffer[u32]:
    """Return a buffer that the device needs some time to fill."""
    x = device.buffer(u32, 4096)
    device.compile_kernel(HASH)(x, {"rounds": rounds}, grid=64)
    return x


async def both(run: Run, *tasks: Callable[[], Awaitable[None]]) -> None:
    """Run tasks at the same time."""
    if run is not trio.run:
        await asyncio.gather(*(task() for task in tasks))
        return
    async with trio.open_nursery() as nursery:
        for task in tasks:
            nursery.start_soon(task)


class Slow:
    """Pending work that is done at the fifth poll; waiting for it before is an error."""

    def __init__(self) -> None:
        self.looks = 0

    @property
    def done(self) -> bool:
        self.looks += 1
        return self.looks >= 5

    def wait(self) -> None:
        assert self.looks >= 5, "the event loop was blocked"


def test_other_tasks_run_while_the_device_works(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    device = Device.null()
    monkeypatch.setattr(device.engine, "fence", Slow)
    order: list[str] = []

    async def tick() -> None:
        for i in range(3):
            order.append(f"tick {i}")
            await sleep_of(run)(0)

    async def wait() -> None:
        await device.synchronize_async()
        order.append("done")

    async def main() -> None:
        await both(run, wait, tick)

    run(main)
    assert order == ["tick 0", "tick 1", "tick 2", "done"]


def test_nothing_blocks_the_event_loop(
    device: Device, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``wait`` of the engine is called only when it has finished."""
    early: list[object] = []

    class Watched:
        def __init__(self, inner: Any) -> None:
            self.inner = inner

        @property
        def done(self) -> bool:
            return bool(self.inner.done)

        def wait(self) -> Any:
            early.extend([] if self.inner.done else [self.inner])
            return self.inner.wait()

        def release(self) -> None:
            self.inner.release()

    read, fence = device.engine.read, device.engine.fence
    monkeypatch.setattr(device.engine, "read", lambda *place: Watched(read(*place)))
    monkeypatch.setattr(device.engine, "fence", lambda: Watched(fence()))

    async def main() -> None:
        x = busy(device)
        event = device.new_event().record()
        await x.read_async()
        x = busy(device, 20002)
        await x.read_slice_async(1, 3)
        x = busy(device, 20001)
        await device.synchronize_async()
        await event

    run(main)
    assert early == []


def test_everything_can_be_awaited(device: Device, run: Run) -> None:
    async def main() -> np.ndarray:
        kernel = await device.compile_kernel(HASH.replace("15u", "14u"), wait=False)
        x = device.buffer(u32, 64)
        kernel(x, {"rounds": 3}, grid=1)
        event = device.new_event().record()
        await event
        assert event.is_complete
        await device.synchronize_async()
        out = np.zeros(64, np.uint32)
        assert await x.read_async(out=out) is out
        assert (await x.read_slice_async(5, 9) == out[5:9]).all()
        assert (await x.read_slice_async(5, 5)).shape == (0,)
        assert await x.to_async(device) is x
        return out

    h = np.arange(64, dtype=np.uint64)
    for i in range(3):
        h = ((h ^ (h >> 14)) * 2246822519 + i) % 2**32
    assert (run(main) == h).all()


def test_several_devices_can_be_awaited(device: Device, run: Run) -> None:
    array = np.arange(10, dtype=np.float32).reshape(5, 2)

    async def main() -> None:
        pair = Devices([device, Device.null()])
        parts = pair.split_buffer(array)
        await pair.synchronize_async()
        assert (await pair.gather_async(parts) == array).all()
        moved = await parts[0].to_async(pair[1])
        assert moved.device is pair[1]
        assert (moved.read() == array[:3]).all()
        with pytest.raises(ShapeError, match="parts must not be empty"):
            await pair.gather_async([])

    run(main)


def test_a_kernel_that_does_not_compile_raises_where_it_is_awaited(
    device: Device, run: Run
) -> None:
    async def main() -> None:
        await device.compile_kernel(INCREMENT.replace("+ 1.0", "+ true"), wait=False)

    with pytest.raises(KernelCompileError, match="WGSL does not compile"):
        run(main)


def test_a_cancelled_read_leaves_the_device_usable(device: Device, run: Run) -> None:
    out = np.full(4096, 7, np.uint32)

    async def main() -> None:
        x = busy(device)
        if run is trio.run:
            with trio.move_on_after(0) as scope:
                await x.read_async(out=out)
            assert scope.cancelled_caught
        else:
            task = asyncio.ensure_future(x.read_async(out=out))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert (out == 7).all()
        await device.synchronize_async()
        assert (await x.read_async() == x.read()).all()

    run(main)
    assert (out == 7).all()
    assert device.staging.nbytes == device.staging.idle, "nothing is left with the abandoned read"


def test_many_reads_at_once_stay_apart(device: Device, run: Run) -> None:
    buffers = [device.buffer_from_array(np.full(100, i, np.uint32)) for i in range(20)]
    found: list[bool] = []

    async def main() -> None:
        async def one(i: int) -> None:
            found.append(bool((await buffers[i].read_async() == i).all()))

        await both(run, *(lambda i=i: one(i) for i in range(20)))

    run(main)
    assert found == [True] * 20
