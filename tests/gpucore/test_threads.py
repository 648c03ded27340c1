"""Threads that each open and use a device of their own at once, in a separate process."""

from __future__ import annotations

import subprocess
import sys

import pytest

from gpucore import Device

OPEN_AND_READ = """
import sys, threading
import numpy as np
from gpucore import Device

found = []

def work():
    device = Device.by_name(sys.argv[1])
    buffer = device.buffer_from_array(np.arange(5, dtype=np.float32))
    found.append([buffer.read().tolist() for _ in range(20)])

threads = [threading.Thread(target=work) for _ in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert found == 3 * [20 * [[0.0, 1.0, 2.0, 3.0, 4.0]]], found
"""


def test_devices_of_three_threads(device: Device) -> None:
    if device.info.api == "gl":
        pytest.skip("wgpu-native ends the process where threads use OpenGL at once")
    command = [sys.executable, "-c", OPEN_AND_READ, device.info.backend]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
