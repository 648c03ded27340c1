"""Processes that fork, that end while a device is busy, or whose kernel never ends."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from gpucore import Device

FORK = """
import os, sys
import numpy as np
from gpucore import Device, GpuError

device = Device.by_name(sys.argv[1])
buffer = device.buffer_from_array(np.arange(5, dtype=np.float32))
buffer.read()
child = os.fork()
if not child:
    uses = (
        buffer.read, device.synchronize, device.close, Device.list,
        lambda: buffer.write(np.zeros(5, np.float32)),
        lambda: device.buffer(buffer.dtype, 7),
        lambda: Device.by_name(sys.argv[1]),
    )
    for use in uses:
        try:
            use()
        except GpuError as error:
            assert "os.fork()" in str(error) and "spawn" in str(error), error
        else:
            raise AssertionError(use)
    assert Device.null().engine.info.kind == "null"
    print("printed by the child")
    sys.exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
assert buffer.read().tolist() == [0, 1, 2, 3, 4], "the parent goes on"
"""

FORK_BEFORE = """
import os, sys
import numpy as np
from gpucore import Device

Device.null().synchronize()
child = os.fork()
device = Device.by_name(sys.argv[1])
assert device.buffer_from_array(np.arange(5, dtype=np.float32)).read().tolist() == [0, 1, 2, 3, 4]
if child:
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""

BUSY = """
import sys
import numpy as np
from gpucore import Device
from tests.gpucore.kernels import HASH

device = Device.by_name(sys.argv[1])
buffer = device.buffer_from_array(np.zeros(4096, np.uint32))
device.compile_kernel(HASH)(buffer, {"rounds": 20000}, grid=64)
device.submit()
sys.exit(5)
"""


def run_python(device: Device, *code: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *code, device.info.backend]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no os.fork()")


@needs_fork
def test_a_forked_child_is_told_and_ends(device: Device) -> None:
    """Without a guard it hangs in the engine, also at its end."""
    done = run_python(device, "-c", FORK)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout == "printed by the child\n"


@needs_fork
def test_a_fork_before_engines_start_is_no_problem(device: Device) -> None:
    done = run_python(device, "-c", FORK_BEFORE)
    assert done.returncode == 0, done.stderr[-2000:]


def test_a_process_with_work_under_way_keeps_its_status(device: Device) -> None:
    assert run_python(device, "-c", BUSY).returncode == 5


@pytest.mark.slow
def test_waits_for_a_kernel_without_end_can_be_ended(device: Device) -> None:
    """By Ctrl-C and by timeouts; the process ends, too."""
    if device.info.api == "gl" and device.is_cpu:
        pytest.skip("Mesa's OpenGL runs kernels inside the submission")
    if not device.is_cpu:
        pytest.skip("a card's driver resets it, which disturbs others")
    done = run_python(device, "-m", "tests.gpucore.endless")
    assert done.returncode == 0, done.stderr[-2000:]
    waits = ["read", "another read", "synchronize", "close", "read_async", "synchronize_async"]
    assert done.stdout.split("\n") == [*waits, "ticks", ""]
