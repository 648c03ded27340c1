"""A program whose kernel never ends: its waits are ended by Ctrl-C and by timeouts.

Run it as ``python -m tests.gpucore.endless dawn-vulkan``. It prints a line for each wait that
ended, and ends itself with status 0. The test runs it apart, since the device is busy for ever.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time

import numpy as np

from gpucore import Device

ENDLESS = """
@group(0) @binding(0) var<storage, read_write> x: array<u32>;
@compute @workgroup_size(1) fn main() {
    loop {
        x[1] = x[1] * 3u + 1u;
        if (x[0] == 7u) { break; }
    }
}
"""


def interrupt_soon() -> None:
    """Send the signal of Ctrl-C to this process in a moment."""
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()


def main() -> None:
    """Launch the kernel, and wait for it in every way."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in background jobs
    device = Device.by_name(sys.argv[1])
    x = device.buffer_from_array(np.zeros(64, np.uint32))
    other = device.buffer_from_array(np.arange(64, dtype=np.uint32))
    other.read()
    device.compile_kernel(ENDLESS)(x, grid=1)
    device.submit()
    for name, wait in (
        ("read", x.read),
        ("another read", other.read),
        ("synchronize", device.synchronize),
        ("close", device.close),
    ):
        interrupt_soon()
        try:
            wait()
        except KeyboardInterrupt:
            print(name, flush=True)
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    async def wait_for_it() -> None:
        ticking = asyncio.ensure_future(tick())
        try:
            await asyncio.wait_for(x.read_async(), 0.5)
        except TimeoutError:
            print("read_async", flush=True)
        try:
            await asyncio.wait_for(device.synchronize_async(), 0.5)
        except TimeoutError:
            print("synchronize_async", flush=True)
        ticking.cancel()

    asyncio.run(wait_for_it())
    began = time.monotonic()
    device.buffer_from_array(np.zeros(64, np.uint32))
    print("ticks" if ticks > 10 else f"only {ticks} ticks", flush=True)
    assert time.monotonic() - began < 5


if __name__ == "__main__":
    main()
