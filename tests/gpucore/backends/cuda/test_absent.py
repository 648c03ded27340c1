"""A machine without CUDA: nothing of it is needed, imported or mentioned."""

from __future__ import annotations

import subprocess
import sys

import pytest

from gpucore import Device

# Neither the driver's library nor NVRTC's can be loaded, nor is any package of NVIDIA's there.
HIDE = """
import ctypes, sys
class Missing(ctypes.CDLL):
    def __init__(self, name, *others, **named):
        if any(each in str(name).lower() for each in ("cuda", "nvrtc")):
            raise OSError(f"{name}: cannot open shared object file")
        super().__init__(name, *others, **named)
ctypes.CDLL = Missing
sys.modules["nvidia"] = None
import numpy as np
import gpucore, gpustd, diffusion
from gpucore import Device, GpuError
from gpucore.adapters import all_adapters
"""
WORK = """
device = Device.by_name(sys.argv[1])
assert (device.buffer_from_array(np.ones(4, np.float32)) + 1).read().tolist() == [2.0] * 4
device.close()
errors = []
for wrong in (
    lambda: Device.by_name("nosuch"),
    lambda: Device.null().compile_kernel("@compute @workgroup_size(1) fn main( {"),
    lambda: Device.null().buffer(gpucore.f32, (1 << 60,)),
):
    try:
        wrong()
    except GpuError as error:
        errors.append(str(error))
assert len(errors) == 3, errors
assert not any(each in text.lower() for text in errors for each in ("cuda", "nvrtc")), errors
assert not [info for info in all_adapters() if info.engine == "cuda"]
"""


def run(program: str, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-c", program, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "cuda" not in (done.stdout + done.stderr).lower()


def test_nothing_of_it_is_needed_or_mentioned(device: Device) -> None:
    if device.info.engine in ("cuda", "hip"):
        pytest.skip("the engine under test needs a vendor's driver")
    run(HIDE + WORK, device.backend)


def test_nothing_of_it_is_imported() -> None:
    run(
        HIDE
        + "Device.null()\n"
        + "found = [each for each in sys.modules if 'backends.cuda' in each or 'nvrtc' in each]\n"
        + "assert not found, found\n"
    )
