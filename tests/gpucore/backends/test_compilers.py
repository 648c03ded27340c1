"""Pipelines compile side by side, and each error stays with its own pipeline."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import CancelledError

import numpy as np
import pytest

from gpucore import Device, KernelCompileError
from gpucore.backends.compilers import Compilers

ADD = """
@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    x[id.x] += VALUE;
}
"""


def test_of_many_kernels_the_wrong_one_fails(device: Device) -> None:
    """Our own front end does not check types, so the engine finds the error."""
    values = [f"{index}.5" if index % 5 else f"{index}u" for index in range(25)]
    kernels = [device.compile_kernel(ADD.replace("VALUE", v), wait=False) for v in values]
    for index, kernel in enumerate(kernels):
        x = device.buffer_from_array(np.zeros(64, np.float32))
        if index % 5:
            kernel(x, grid=1)
            assert (x.read() == index + 0.5).all()
            continue
        for _ in range(2):
            with pytest.raises(KernelCompileError) as caught:
                kernel.wait()
            assert caught.value.line == 4


def test_what_waits_can_be_cancelled() -> None:
    compilers, begun, let_go = Compilers(1), threading.Event(), threading.Event()
    first = compilers.submit(lambda: begun.set() or let_go.wait(10))
    second = compilers.submit(lambda: 2)
    assert begun.wait(10)
    stopping = threading.Thread(target=compilers.stop)
    stopping.start()
    with pytest.raises(CancelledError):
        second.result(10)
    assert stopping.is_alive()
    let_go.set()
    stopping.join(10)
    assert first.result(0) is True
    assert compilers.submit(lambda: 3).result(10) == 3


def test_results_and_errors_come_out() -> None:
    for most in (0, 1, 3):
        compilers = Compilers(most)
        futures = [compilers.submit(lambda n=n: 1 // n) for n in range(20)]
        with pytest.raises(ZeroDivisionError):
            futures[0].result(10)
        assert [each.result(10) for each in futures[1:]] == [1] + [0] * 18


def test_a_process_ends_without_what_waits() -> None:
    code = """
from gpucore.backends.compilers import Compilers
import time
compilers = Compilers(1)
for _ in range(100):
    compilers.submit(lambda: time.sleep(0.5))
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
